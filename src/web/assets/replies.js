// Conversations: who waits for a person, what was drafted, what was said. Texts go in as text, never as markup.
'use strict';

const talks = { list: null, error: null, of: null, one: null, oneError: null, busy: false };
const TALKS_EVERY = 2000;
const MOST_WAITING = 100;
const MOST_OTHERS = 200;

const onReplies = () => location.hash.replace(/^#\/?/, '').split('/')[0] === 'replies';
const talkOf = () => { const part = location.hash.replace(/^#\/?/, '').split('/')[1]; try { return part ? decodeURIComponent(part) : null; } catch { return part; } };
const talkPath = (person) => `replies/${encodeURIComponent(person)}`;
const STATES = { needs_human: 'needs a human', draft: 'draft waits', answering: 'being answered', human: 'a human goes on', quiet: 'quiet', closed: 'closed' };
const talkKind = (state) => ({ needs_human: 'bad', draft: 'warn', answering: '', human: '', quiet: 'good' }[state] || '');
const waitsForYou = (reply) => reply.state === 'needs_human' || reply.state === 'draft';

function who(reply) {
  const words = reply.name && reply.username ? `${reply.name} (@${reply.username})` : reply.name || (reply.username ? `@${reply.username}` : reply.person);
  return h('a', { href: `#/${talkPath(reply.person)}` }, h('bdi', {}, clean(words)));
}

const words = (text) => h('pre', { class: 'text' }, h('bdi', {}, plain(text)));
const about = (reply) => h('ul', { class: 'facts' },
  h('li', {}, 'with ', accountLink(reply.account)),
  reply.campaign && h('li', {}, campaignLink(reply.campaign)),
  reply.answers > 0 && h('li', {}, `${n(reply.answers)} AI answers`),
  reply.wrote_at && h('li', {}, 'wrote ', age(reply.wrote_at)));

// What can be done with a conversation in its state.
function talkButtons(reply) {
  const act = (verb, text, kind, key = reply.person) => h('button', { 'data-act': verb, 'data-name': key, class: kind, 'data-key': verb, 'data-account': reply.account }, text);
  return h('div', { class: 'row' },
    reply.state === 'draft' && [act('draft-approve', 'Approve and send', 'primary', reply.id), act('draft-edit', 'Edit…', '', reply.id), act('draft-reject', 'Reject', 'danger', reply.id)],
    act('talk-send', 'Write…', reply.state === 'needs_human' ? 'primary' : ''),
    !['human', 'closed'].includes(reply.state) && act('talk-take', 'Take'),
    ['human', 'needs_human'].includes(reply.state) && act('talk-return', 'Return to the AI'),
    ['human', 'needs_human'].includes(reply.state) && act('talk-close', 'Close'));
}

function waitingTalk(reply) {
  return h('li', { 'data-key': `${reply.person} ${reply.account}` },
    h('div', { class: 'row' }, h('strong', {}, who(reply)), tag(STATES[reply.state] || reply.state, talkKind(reply.state))),
    about(reply),
    reply.message && h('p', {}, said(reply.message)),
    reply.last && [h('p', { class: 'quiet small' }, 'The person last wrote'), words(reply.last)],
    reply.draft && [h('p', { class: 'quiet small' }, 'The draft'), words(reply.draft)],
    talkButtons(reply));
}

function repliesPage() {
  const person = talkOf();
  if (person) return talkPage(person);
  const heading = h('h1', { tabindex: '-1' }, 'Replies');
  if (!talks.list) return [heading, h('section', { class: 'card' }, h('p', { class: talks.error ? 'bad' : 'quiet' }, clean(talks.error || 'Loading the conversations…')))];
  const waiting = talks.list.filter(waitsForYou), others = talks.list.filter((reply) => !waitsForYou(reply));
  return [
    heading,
    talks.error && h('section', { class: 'card' }, h('p', { class: 'bad', role: 'alert' }, clean(talks.error))),
    h('section', { class: `card needs ${waiting.length ? '' : 'none'}`, 'aria-label': 'Conversations that wait for you' },
      h('h2', {}, waiting.length ? `Waiting for you (${n(waiting.length)})` : 'No conversation waits for you'),
      waiting.length > 0 && h('ul', { class: 'waiting' }, waiting.slice(0, MOST_WAITING).map(waitingTalk)),
      waiting.length > MOST_WAITING && h('p', { class: 'quiet small' }, `… and ${n(waiting.length - MOST_WAITING)} more.`)),
    card('Other conversations', others.length === 0 ? h('p', { class: 'quiet' }, 'None.')
      : table('Other conversations', ['Person', 'State', 'Campaign', 'Account', 'Last wrote', 'What'], others.slice(0, MOST_OTHERS).map((reply) => ({
        key: `${reply.person} ${reply.account}`,
        cells: [h('strong', {}, who(reply)), tag(STATES[reply.state] || reply.state, talkKind(reply.state)), reply.campaign ? campaignLink(reply.campaign) : '', accountLink(reply.account),
          reply.wrote_at ? age(reply.wrote_at) : '', reply.last ? h('bdi', {}, shorten(reply.last)) : ''],
      }))),
    others.length > MOST_OTHERS && h('p', { class: 'quiet small' }, `${n(others.length - MOST_OTHERS)} more: “tidings replies list” shows all.`)),
  ];
}

const shorten = (text) => { const all = [...clean(text)]; return all.length > 80 ? `${all.slice(0, 79).join('')}…` : all.join(''); };

function talkPage(person) {
  const one = talks.of === person ? talks.one : null;
  const back = h('p', {}, h('a', { href: '#/replies' }, 'All replies'));
  if (!one) {
    return [h('section', { class: 'card' }, h('h1', { tabindex: '-1' }, name(person)),
      h('p', { class: talks.oneError ? 'bad' : 'quiet' }, clean(talks.oneError || 'Loading the conversation…')), back)];
  }
  const title = one.name || (one.replies.find((r) => r.username) || {}).username || one.person;
  const whose = (line) => ({ person: title, campaign: `campaign ${line.by || ''}`, ai: 'AI', operator: line.by || 'operator', human: 'a human in another client' }[line.speaker] || line.speaker);
  const kind = { draft: ' (draft, not sent)', operator: ' (to be sent)' };
  return [
    h('section', { class: 'card', 'aria-label': 'Conversation' },
      h('h1', { tabindex: '-1' }, name(title)), h('p', { class: 'quiet small' }, clean(one.person)), back,
      one.replies.map((reply) => h('div', { class: 'talk-state', 'data-key': reply.account },
        h('div', { class: 'row' }, tag(STATES[reply.state] || reply.state, talkKind(reply.state)), about(reply)),
        reply.message && h('p', {}, said(reply.message)), talkButtons(reply)))),
    card('What was said', one.lines.length === 0 ? h('p', { class: 'quiet' }, 'Nothing is kept any more.')
      : h('ol', { class: 'lines' }, one.lines.map((line) => h('li', { 'data-key': `${line.account} ${line.kind} ${line.number}`, class: line.speaker === 'person' ? 'theirs' : line.kind === 'message' ? 'ours' : 'ours unsent' },
        h('p', { class: 'small' }, h('strong', {}, name(whose(line))), kind[line.kind] || '', ' ', h('span', { class: 'quiet' }, age(line.at), one.replies.length > 1 && [', ', name(line.account)])),
        h('p', { class: 'words' }, h('bdi', {}, line.text ? plain(line.text) : '(no text)')))))),
  ];
}

// For the overview and a campaign: what waits, and where it is.
function talkCounts(counts, title) {
  if (!counts || counts.drafts + counts.needs_human === 0) return null;
  const people = counts.needs_human === 1 ? '1 person needs a human' : `${n(counts.needs_human)} people need a human`;
  const drafts = counts.drafts === 1 ? '1 drafted answer waits for approval' : `${n(counts.drafts)} drafted answers wait for approval`;
  return card(title, h('p', {}, [counts.needs_human > 0 && people, counts.drafts > 0 && drafts].filter(Boolean).join(', '), ': ', h('a', { href: '#/replies' }, 'look at the replies')));
}

async function loadTalks() {
  if (!onReplies() || talks.busy || document.hidden) return;
  talks.busy = true;
  try {
    const person = talkOf();
    if (person) {
      if (talks.of !== person) Object.assign(talks, { of: person, one: null, oneError: null });
      try { const one = await api(talkPath(person)); if (talks.of === person) Object.assign(talks, { one, oneError: null }); } catch (why) { talks.oneError = why.message; }
    } else {
      try { talks.list = (await api('replies')).replies; talks.error = null; } catch (why) { talks.error = why.message; }
    }
  } finally { talks.busy = false; }
  render();
}

const myName = () => nameField().value;
const findReply = (test) => [...(talks.list || []), ...((talks.one || {}).replies || [])].find(test);

async function talkAct(where, body) {
  const done = await api(where, { by: myName(), ...body });
  await loadTalks();
  return done;
}

Object.assign(acts, {
  'draft-approve': async (id) => toast((await talkAct(`drafts/${id}/approve`, {})).message),
  'draft-reject': async (id) => toast((await talkAct(`drafts/${id}/reject`, {})).message),
  'draft-edit': (id) => {
    const reply = findReply((r) => String(r.id) === String(id));
    ask({
      title: 'Edit the answer, and send it', body: reply && reply.last && [h('p', { class: 'quiet small' }, 'The person last wrote'), words(reply.last)],
      fields: [{ id: 'text', label: 'Text', most: 4096, required: true, area: true, value: reply ? reply.draft : '' }, nameField()],
      verb: 'Approve and send', run: (v) => talkAct(`drafts/${id}/approve`, v),
    });
  },
  'talk-send': (person, button) => {
    const account = button.dataset.account;
    const reply = findReply((r) => r.person === person && r.account === account);
    ask({
      title: `Write to ${clean((reply && reply.name) || person)}`,
      body: [h('p', {}, 'By ', name(account), '. The AI is silent there until the conversation is returned to it.'), reply && reply.last && words(reply.last)],
      fields: [{ id: 'text', label: 'Text', most: 4096, required: true, area: true }, nameField()], verb: 'Send', run: (v) => talkAct(`${talkPath(person)}/send`, { ...v, account }),
    });
  },
  'talk-take': async (person) => toast((await talkAct(`${talkPath(person)}/take`, {})).message),
  'talk-return': async (person) => toast((await talkAct(`${talkPath(person)}/return`, {})).message),
  'talk-close': async (person) => toast((await talkAct(`${talkPath(person)}/close`, {})).message),
});

addEventListener('hashchange', loadTalks);
document.addEventListener('visibilitychange', loadTalks);
setInterval(loadTalks, TALKS_EVERY);
