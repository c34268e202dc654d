// The page. Plain DOM: everything that comes from the report goes in as text, never as markup.
'use strict';

const state = { report: null, needs: [], events: [], session: null, connected: false, lostSince: null, skew: 0, route: '' };
const $ = (id) => document.getElementById(id);
const MAX_EVENTS = 2000;

// ---- words ------------------------------------------------------------------------------------------------------

const NUMBER = new Intl.NumberFormat('en');
const n = (value) => NUMBER.format(value);
const now = () => Date.now() + state.skew;

// Characters that turn the direction of text, or show nothing, have no business in a name.
const plain = (text) => String(text).replace(/[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, '').replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ');
const clean = (text) => plain(text).replace(/\n/g, ' ');
// What stands between backticks is to be typed or copied.
const said = (text) => clean(text).split('`').map((part, at, all) => (at % 2 === 1 && at < all.length - 1 ? h('code', {}, part) : at % 2 === 1 ? `\`${part}` : part));
// Each send and look-up says more than a person wants to read at a glance; `tidings events` has it all.
const ASIDE = new Set(['intent', 'lookup_started', 'lookup_page', 'lookup_at', 'lookup_spent', 'updates_at']);
const aside = (event) => ASIDE.has(event.type) || event.message.startsWith('Filters: 1 person in, 0 out');

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 86400 * 2) { const h = Math.floor(s / 3600), m = Math.round((s % 3600) / 60); return m && h < 10 ? `${h} h ${m} min` : `${h} h`; }
  return `${Math.round(s / 86400)} days`;
}

function relative(iso) {
  const ms = Date.parse(iso) - now();
  if (Math.abs(ms) < 1500) return 'now';
  return ms > 0 ? `in ${span(ms)}` : `${span(-ms)} ago`;
}

function clock(iso, zone) {
  const at = new Date(iso);
  const far = Math.abs(at - now()) > 20 * 3600e3;
  const options = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZoneName: 'short' };
  if (far) Object.assign(options, { day: 'numeric', month: 'short' });
  if (zone) options.timeZone = zone;
  try { return new Intl.DateTimeFormat('en-GB', options).format(at); } catch { return at.toISOString(); }
}

const until = (iso, zone) => (iso ? h('span', { title: iso }, `${relative(iso)} (${clock(iso, zone)})`) : '');
const age = (iso) => h('time', { datetime: iso, title: iso }, relative(iso));

// Wilson's interval, 95 %: honest about small numbers.
function rate(part, whole) {
  if (!whole) return '–';
  const z = 1.96, p = part / whole, d = 1 + z * z / whole;
  const mid = (p + z * z / (2 * whole)) / d;
  const half = z * Math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole)) / d;
  const pc = (x) => (100 * Math.min(1, Math.max(0, x))).toFixed(1);
  return `${pc(p)} % (${pc(mid - half)}–${pc(mid + half)})`;
}

// ---- DOM --------------------------------------------------------------------------------------------------------

function h(tag, props, ...kids) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'style') for (const [name, v] of Object.entries(value)) el.style.setProperty(name, v);
    else el.setAttribute(key, value === true ? '' : value);
  }
  append(el, kids);
  return el;
}

function append(el, kids) {
  for (const kid of kids.flat(Infinity)) {
    if (kid === null || kid === undefined || kid === false || kid === '') continue;
    el.append(kid instanceof Node ? kid : document.createTextNode(String(kid)));
  }
}

// Makes `old` look like `fresh` and keeps what is the same, so that focus, selection and scrolling stay.
function patch(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== 'style' && name !== 'open') old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) if (name !== 'style' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
  const have = [...old.childNodes], want = [...fresh.childNodes];
  want.forEach((kid, at) => {
    const was = have[at];
    if (!was) old.append(kid);
    else if (was.nodeType !== kid.nodeType || was.nodeName !== kid.nodeName || was.dataset?.key !== kid.dataset?.key) was.replaceWith(kid);
    else if (was.nodeType === Node.TEXT_NODE) { if (was.data !== kid.data) was.data = kid.data; }
    else patch(was, kid);
  });
  have.slice(want.length).forEach((kid) => kid.remove());
}

const name = (text) => h('bdi', { class: String(text).length <= 24 && 'short' }, clean(text));
const tag = (text, kind) => h('span', { class: `tag ${kind || ''}` }, clean(text));
const card = (title, ...kids) => h('section', { class: 'card', 'aria-label': title }, h('h2', {}, title), kids);
const link = (path, text) => h('a', { href: `#/${path}` }, name(text));
const campaignLink = (text) => link(`campaign/${encodeURIComponent(text)}`, text);
const accountLink = (text) => link(`account/${encodeURIComponent(text)}`, text);

function table(label, head, rows) {
  return h('div', { class: 'scroll' }, h('table', { class: 'cards', 'aria-label': label },
    h('thead', {}, h('tr', {}, head.map((column) => h('th', { scope: 'col', class: column.num && 'num' }, column.name || column)))),
    h('tbody', {}, rows.map((row) => h('tr', { 'data-key': row.key },
      row.cells.map((cell, at) => h('td', { class: head[at].num ? 'num' : blank(cell) ? 'empty' : null, 'data-label': head[at].name || head[at] }, h('div', { class: 'cell' }, cell))))))));
}
const blank = (cell) => cell === '' || cell === null || cell === undefined || (Array.isArray(cell) && cell.every(blank));
const num = (text) => ({ name: text, num: true });

// ---- what a report means ----------------------------------------------------------------------------------------

const DELIBERATE = ['Paused', 'Suspended', 'Retired', 'Ended'];
const condition = (campaign, type) => campaign.conditions.find((c) => c.type === type) || { status: 'Unknown', reason: '', message: '' };
const holds = (campaign, type) => condition(campaign, type).status === 'True';

function stateTag(campaign) {
  const ready = condition(campaign, 'Ready');
  let kind = '';
  if (ready.status === 'True') kind = holds(campaign, 'Throttled') ? 'warn' : 'good';
  else if (ready.status === 'False' && !DELIBERATE.includes(ready.reason)) kind = 'bad';
  return tag(ready.reason || '–', kind);
}

const settled = (p) => p.sent + p.failed + p.skipped + p.uncertain;
const accountKind = (s) => (s === 'ready' ? 'good' : ['flood_wait', 'limited', 'unreachable'].includes(s) ? 'warn' : 'bad');
const awaitsApproval = (c) => ['AwaitingApproval', 'Canary', 'LooksRenamed'].includes(condition(c, 'Ready').reason);
// What `resume` of this campaign lets go: neither `paused: true` of its spec nor what holds all campaigns.
const stopped = (c) => c.suspended || holds(c, 'Stalled') || (holds(c, 'Paused') && !['Suspended', 'PausedInSpec'].includes(condition(c, 'Paused').reason));
const heldWords = (hold) => ['since ', h('span', { title: hold.since }, `${clock(hold.since)} (${relative(hold.since)})`), ' by ', name(hold.by), ': ', name(hold.reason)];

// A `collect` that is done: its people wait for nothing, they are what it was for.
const collects = (c) => c.kind === 'collect';
const collected = (c) => collects(c) && holds(c, 'Succeeded') && c.waiting.every((wait) => ['Held', 'Suspended', 'Paused'].includes(wait.reason));

function progress(campaign) {
  const p = campaign.progress, all = campaign.audience.included;
  if (collects(campaign)) return [h('span', { class: 'small' }, all ? `${n(all)} collected` : '–')];
  const ramp = (campaign.warmup || []).reduce((far, r) => (!far || r.days - r.day > far.days - far.day ? r : far), null);
  if (ramp) return [h('span', { class: 'small' }, `day ${n(ramp.day)} of ${n(ramp.days)}, ${n(ramp.allowance_today)} today`, ramp.join > 0 && `, ${n(ramp.joined)} of ${n(ramp.join)} joined`)];
  const part = (cls, value) => value > 0 && h('span', { class: cls, style: { width: `${100 * value / all}%` } });
  const done = settled(p);
  const words = all ? `${n(done)} of ${n(all)} (${Math.floor(100 * done / all)} %)` : '–';
  return [
    all > 0 && h('div', { class: 'progress', role: 'img', 'aria-label': `${p.sent} sent, ${p.skipped} skipped, ${p.failed} failed, ${p.pending} pending` },
      part('fill-sent', p.sent), part('fill-other', p.skipped), part('fill-bad', p.failed + p.uncertain), part('fill-flight', p.in_flight)),
    h('span', { class: 'small' }, words, p.failed > 0 && h('span', { class: 'bad' }, `, ${n(p.failed)} failed`)),
  ];
}

function waits(campaign) {
  if (collected(campaign)) return '';
  const later = campaign.steps.reduce((sum, step) => sum + step.pending, 0);
  // All got the first message: what comes next are the later ones.
  if (campaign.waiting.length === 0 && later > 0) return later === 1 ? '1 follow-up' : `${n(later)} follow-ups`;
  return campaign.waiting.map((wait, at) => [at > 0 && ', ', campaign.waiting.length > 1 && `${n(wait.count)} `, wait.reason]);
}

function firstUntil(campaign) {
  // A delay of seconds is the pace, not a wait: of interest is when all is done, as in the terminal's table.
  if (campaign.finish_estimate && campaign.waiting.some((wait) => wait.reason === 'Delay')) return ['done ', until(campaign.finish_estimate, campaign.timezone)];
  return campaign.next_action_at ? until(campaign.next_action_at, campaign.timezone) : '';
}

// ---- pages ------------------------------------------------------------------------------------------------------

function overview(report) {
  const needs = state.needs;
  return [
    h('h1', { tabindex: '-1' }, 'Overview'),
    report.suspended && h('section', { class: 'card held', 'aria-label': 'All campaigns are suspended' },
      h('div', { class: 'row spread' }, h('h2', {}, 'All campaigns are suspended'), h('button', { 'data-act': 'resume-all', class: 'primary' }, 'Resume all…')),
      h('p', {}, heldWords(report.suspended))),
    h('section', { class: `card needs ${needs.length ? '' : 'none'}`, 'aria-label': 'What needs you' },
      h('h2', {}, needs.length ? `Needs you (${needs.length})` : 'Nothing needs you'),
      needs.length > 0 && h('ul', {}, needs.map((need) => {
        const campaign = report.campaigns.find((c) => c.name === need.who);
        const account = report.accounts.find((a) => a.name === need.who);
        return h('li', { 'data-key': need.who },
          h('strong', {}, campaign ? campaignLink(need.who) : account ? accountLink(need.who) : name(need.who)),
          h('span', {}, said(need.why)),
          h('span', {}, campaign && awaitsApproval(campaign) && h('button', { 'data-act': 'approve', 'data-name': need.who, class: 'primary' }, 'Look and approve')));
      }))),
    h('section', { class: 'card', 'aria-label': 'Campaigns' },
      h('div', { class: 'row spread' }, h('h2', {}, 'Campaigns'),
        h('div', { class: 'row' },
          !report.suspended && report.campaigns.length > 0 && [
            h('button', { 'data-act': 'suspend-all', class: 'danger' }, 'Suspend all…'),
            h('button', { 'data-act': 'resume-all', class: 'link' }, 'Resume all…')])),
      report.folder_error && h('p', { class: 'bad' }, clean(report.folder_error)),
      report.campaigns.length === 0
        ? h('p', { class: 'quiet' }, 'There are no campaigns yet. Put one file for each into campaigns/.')
        : table('Campaigns', ['Campaign', 'State', 'Progress', num('Replied'), 'Waits for', 'Until'], report.campaigns.map((c) => ({
          key: c.name,
          cells: [
            [h('strong', {}, campaignLink(c.name)), c.title && h('div', { class: 'quiet small' }, name(c.title)), c.sync !== 'current' && h('div', { class: 'small quiet' }, `file: ${c.sync}`)],
            [stateTag(c), c.suspended && !report.suspended && h('div', { class: 'small quiet' }, heldWords(c.suspended))], progress(c), n(c.progress.replied), waits(c), firstUntil(c),
          ],
        })))),
    talkCounts(report.conversations, 'Conversations'),
    accountsCard(report.accounts),
    eventsCard(state.events, 'Recent events'),
  ];
}

function accountsCard(accounts) {
  return card('Accounts', accounts.length === 0
    ? h('p', { class: 'quiet' }, 'No accounts. sessions/README.md says how they get there.')
    : table('Accounts', ['Account', 'State', num('Today'), 'Until', 'Message'], accounts.map((a) => ({
      key: a.name,
      cells: [h('strong', {}, accountLink(a.name)), tag(a.state, accountKind(a.state)), `${n(a.sent_today)} of ${n(a.allowance_today)}`, until(a.until, a.timezone), said(a.message)],
    }))));
}

function eventsCard(events, title, most = 20, about = 'campaign') {
  const shown = events.filter((event) => !aside(event)).slice(-most).reverse();
  const whose = (event) => (about !== 'account' && event.campaign ? campaignLink(event.campaign) : event.account ? accountLink(event.account) : '');
  return card(title, shown.length === 0 ? h('p', { class: 'quiet' }, 'Nothing yet.')
    : h('ol', { class: 'events' }, shown.map((event) => h('li', { 'data-key': event.seq },
      age(event.at),
      h('span', { class: 'small' }, whose(event)),
      h('span', { class: event.error && 'wrong' }, said(event.message), event.person && h('span', { class: 'quiet' }, ` (${event.person}${about !== 'account' && event.account && event.campaign ? `, ${clean(event.account)}` : ''})`))))));
}

function hoursCard(hours) {
  const HOUR = 3600e3, last = Math.floor(now() / HOUR) * HOUR;
  const by = new Map(hours.map((x) => [Date.parse(x.at), x.sent]));
  const list = Array.from({ length: 24 }, (_, at) => last - (23 - at) * HOUR).map((at) => ({ at, sent: by.get(at) || 0 }));
  const most = Math.max(1, ...list.map((x) => x.sent)), total = list.reduce((sum, x) => sum + x.sent, 0);
  const label = (ms) => new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  return card('Messages per hour, last 24 hours',
    h('p', { class: 'small quiet' }, total ? `${n(total)} in all, at most ${n(most)} an hour.` : 'None in the last 24 hours.'),
    h('ol', { class: 'hours', 'aria-label': `Messages per hour, ${total} in 24 hours` }, list.map((x) => h('li', { title: `${label(x.at)}: ${x.sent}`, 'aria-label': x.sent ? `${label(x.at)}: ${x.sent}` : null },
      h('span', { style: { height: x.sent ? `${Math.max(2, 100 * x.sent / most)}%` : '0' } })))),
    h('div', { class: 'axis', 'aria-hidden': 'true' }, [0, 6, 12, 18, 23].map((at) => h('span', {}, label(list[at].at)))));
}

const FAILED = ['failed', 'template_error', 'too_long'];
function funnel(c) {
  // A warmup writes to nobody itself.
  if (c.kind === 'warmup' && c.audience.found === 0) return null;
  const p = c.progress, found = c.audience.found || 1;
  const row = (text, value, cls, of) => h('li', { 'data-key': `${of || ''} ${text}` },
    h('span', { class: of && 'sub' }, text),
    h('span', { class: `track ${cls || ''} ${value ? '' : 'zero'}` }, h('span', { style: { width: `${100 * value / found}%` } })),
    h('span', { class: 'n' }, n(value)));
  const ended = (of, cls, which) => Object.entries(c.outcomes).filter(([o]) => which(o)).map(([o, count]) => row(o, count, cls, of));
  const skipped = (o) => !FAILED.includes(o) && o !== 'sent' && o !== 'uncertain';
  const rows = [row('Found', c.audience.found), Object.entries(c.audience.excluded).map(([reason, count]) => row(`excluded: ${reason}`, count, 'out', 'found'))];
  if (collects(c)) {
    rows.push(row('Collected', c.audience.included), settled(p) > 0 && [row('Gone since', settled(p), 'out'), ended('gone', 'out', () => true)]);
  } else {
    rows.push(
      row('In the audience', c.audience.included),
      row('Pending', p.pending), c.waiting.map((w) => row(`waits: ${w.reason}`, w.count, '', 'pending')),
      p.in_flight > 0 && row('On the way, or in doubt', p.in_flight),
      row('Sent', p.sent, 'good'), row('wrote back', p.replied, 'good', 'sent'), p.opted_out > 0 && row('opted out', p.opted_out, 'out', 'sent'),
      p.failed > 0 && [row('Failed', p.failed, 'wrong'), ended('failed', 'wrong', (o) => FAILED.includes(o))],
      p.skipped > 0 && [row('Skipped', p.skipped, 'out'), ended('skipped', 'out', skipped)],
      p.uncertain > 0 && row('Uncertain', p.uncertain, 'wrong'));
  }
  return card(collects(c) ? 'From found to collected' : 'From found to replied',
    c.audience.found === 0 ? h('p', { class: 'quiet' }, 'Nobody was found yet.') : h('ol', { class: 'funnel' }, rows));
}

const GOOD = ['Ready', 'SpecValid', 'Succeeded'];
function conditionKind(c) {
  if (GOOD.includes(c.type)) return c.status === 'True' ? 'good' : c.status === 'False' && c.type !== 'Succeeded' ? 'bad' : '';
  return c.status === 'True' ? (c.type === 'Stalled' ? 'bad' : 'warn') : '';
}

function campaignPage(report, wanted) {
  const c = report.campaigns.find((x) => x.name === wanted);
  if (!c) return missing(`There is no campaign “${clean(wanted)}”.`);
  const ready = condition(c, 'Ready'), approve = awaitsApproval(c);
  const live = c.sync !== 'retired';
  const own = report.accounts.filter((a) => c.accounts.includes(a.name));
  const sources = [...c.audience.sources, ...(c.audience.filter_sources || []).map((s) => ({ ...s, filter: true }))];
  return [
    h('section', { class: 'card', 'aria-label': 'Campaign' },
      h('div', { class: 'row spread' },
        h('div', { class: 'row' }, h('h1', { tabindex: '-1' }, name(c.title || c.name)), stateTag(c)),
        h('div', { class: 'row' },
          approve && h('button', { 'data-act': 'approve', 'data-name': c.name, class: 'primary' }, 'Look and approve'),
          report.suspended && h('button', { 'data-act': 'resume-all' }, 'Resume all…'),
          stopped(c) && h('button', { 'data-act': 'resume', 'data-name': c.name, class: approve ? '' : 'primary' }, 'Resume…'),
          live && !c.suspended && h('button', { 'data-act': 'suspend', 'data-name': c.name, class: 'danger' }, 'Suspend…'),
          live && h('button', { 'data-act': 'reconcile', 'data-name': c.name }, 'Look sources up now'))),
      h('p', {}, said(ready.message)),
      progress(c),
      h('ul', { class: 'facts' },
        h('li', {}, `${c.kind} `, h('code', {}, clean(c.name))),
        h('li', {}, h('code', {}, clean(c.file)), ` (${c.sync})`),
        h('li', {}, c.generation === c.observed_generation ? `generation ${c.generation}` : c.observed_generation === 0 ? `generation ${c.generation}, and none was valid yet` : `generation ${c.generation}, the last valid one is ${c.observed_generation}`),
        c.digest && h('li', {}, 'digest ', h('code', {}, c.digest.slice(0, 12))),
        c.commit && h('li', {}, 'commit ', h('code', {}, c.commit.slice(0, 12))),
        h('li', {}, `run ${c.run}`),
        c.next_action_at && h('li', {}, 'next ', until(c.next_action_at, c.timezone)),
        c.finish_estimate && h('li', {}, 'done ', until(c.finish_estimate, c.timezone)))),
    h('div', { class: 'two' },
      card('Conditions', table('Conditions', ['Condition', 'Status', 'For', 'Why'], c.conditions.map((x) => ({
        key: x.type, cells: [h('strong', {}, x.type), tag(x.status, conditionKind(x)), h('span', { class: 'short', title: x.last_transition_time }, span(now() - Date.parse(x.last_transition_time))), [x.reason && `${x.reason}${x.message ? ': ' : ''}`, said(x.message)]],
      })))),
      funnel(c),
      card('Waiting', c.waiting.length === 0 || collected(c) ? h('p', { class: 'quiet' }, 'Nobody waits.')
        : table('Waiting', ['Reason', num('People'), 'Until'], c.waiting.map((w) => ({ key: w.reason, cells: [w.reason, n(w.count), until(w.until, c.timezone)] })))),
      hoursCard(c.sent_per_hour || []),
      c.templates.length > 0 && card('Variants', table('Variants', ['Variant', num('Sent'), num('Replied'), num('Reply rate (95 %)')], c.templates.map((t) => ({
        key: t.name, cells: [name(t.name), n(t.sent), n(t.replied), rate(t.replied, t.sent)],
      })))),
      c.steps.length > 0 && card('Follow-ups', table('Follow-ups', [num('Step'), 'After', num('Pending'), num('Sent'), num('Skipped')], c.steps.map((s) => ({
        key: s.step, cells: [s.step, s.after, n(s.pending), n(s.sent), n(s.skipped)],
      })))),
      sources.length > 0 && card('Sources', table('Sources', ['Source', num('Found'), 'Read', 'State'], sources.map((s, at) => ({
        key: at, cells: [[s.filter && 'filter: ', name(s.label || s.peer || s.path || s.type)], n(s.found), s.at ? age(s.at) : 'never',
          s.running_since ? 'being read' : s.complete ? 'complete' : h('span', { class: s.error && 'bad' }, clean(s.error || s.partial || 'not read yet'))],
      })))),
      own.length > 0 && accountsCard(own)),
    talkCounts(c.conversations, 'Conversations'),
    (c.warnings || []).length > 0 && card('Warnings', h('ul', {}, c.warnings.map((w) => h('li', {}, clean(w))))),
    eventsCard(state.events.filter((e) => e.campaign === c.name), 'Recent events', 40, 'account'),
  ];
}

function accountPage(report, wanted) {
  const a = report.accounts.find((x) => x.name === wanted);
  if (!a) return missing(`There is no account “${clean(wanted)}”.`);
  const used = report.campaigns.filter((c) => c.accounts.includes(a.name));
  const part = a.allowance_today ? Math.min(100, 100 * a.sent_today / a.allowance_today) : 0;
  return [
    h('section', { class: 'card', 'aria-label': 'Account' },
      h('div', { class: 'row' }, h('h1', { tabindex: '-1' }, name(a.name)), tag(a.state, accountKind(a.state))),
      a.message && h('p', {}, said(a.message)),
      a.until && h('p', {}, 'Until ', until(a.until, a.timezone)),
      h('p', {}, `${n(a.sent_today)} of ${n(a.allowance_today)} messages today`),
      h('div', { class: 'progress', role: 'img', 'aria-label': `${a.sent_today} of ${a.allowance_today} today` }, h('span', { class: 'fill-flight', style: { width: `${part}%` } })),
      Object.keys(a.labels || {}).length > 0 && h('ul', { class: 'facts' }, Object.entries(a.labels).map(([k, v]) => h('li', {}, `${clean(k)}: ${clean(v)}`)))),
    h('div', { class: 'two' },
      hoursCard(a.sent_per_hour || []),
      card('Campaigns', used.length === 0 ? h('p', { class: 'quiet' }, 'No campaign uses it.')
        : table('Campaigns', ['Campaign', 'State', 'Progress'], used.map((c) => ({ key: c.name, cells: [campaignLink(c.name), stateTag(c), progress(c)] }))))),
    eventsCard(state.events.filter((e) => e.account === a.name), 'Recent events', 40),
  ];
}

const missing = (text) => [h('section', { class: 'card' }, h('h1', { tabindex: '-1' }, text), h('p', {}, h('a', { href: '#/' }, 'Back to the overview')))];

// ---- showing it -------------------------------------------------------------------------------------------------

function page() {
  const [kind, wanted] = location.hash.replace(/^#\/?/, '').split('/').map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  if (kind === 'campaign') return campaignPage(state.report, wanted || '');
  if (kind === 'account') return accountPage(state.report, wanted || '');
  if (kind === 'replies') return repliesPage();
  return overview(state.report);
}

function render() {
  const daemon = $('daemon');
  if (state.report) {
    const fresh = h('main', { id: 'main', tabindex: '-1' });
    append(fresh, page());
    const route = location.hash;
    if (route !== state.route) {
      state.route = route;
      $('main').replaceChildren(...fresh.childNodes);
      if (document.body.dataset.ready) { scrollTo(0, 0); $('main').querySelector('h1')?.focus({ preventScroll: true }); }
    } else patch($('main'), fresh);
    const counts = state.report.conversations || { drafts: 0, needs_human: 0 };
    const waitingTalks = counts.drafts + counts.needs_human;
    const nav = h('nav', { id: 'nav', 'aria-label': 'Pages' },
      h('a', { href: '#/', 'aria-current': route === '' || route === '#/' ? 'page' : null }, 'Overview'),
      h('a', { href: '#/replies', 'aria-current': route.startsWith('#/replies') ? 'page' : null }, waitingTalks ? `Replies (${n(waitingTalks)})` : 'Replies'),
      state.session && state.session.login && h('button', { class: 'link', 'data-act': 'logout' }, 'Log out'));
    patch($('nav'), nav);
    const d = state.report.daemon;
    daemon.className = `daemon ${state.connected ? 'live' : 'dead'}`;
    $('daemon-text').textContent = state.connected ? `live · Tidings ${d.version}, pid ${d.pid}` : 'not connected';
    const title = state.needs.length ? `(${state.needs.length}) Tidings` : 'Tidings';
    if (document.title !== title) document.title = title;
    document.body.dataset.ready = 'yes';
  }
  const banner = $('banner');
  banner.hidden = state.connected || !state.lostSince;
  if (!banner.hidden) {
    const text = `${state.lostWhy || 'No connection to Tidings'} since ${new Date(state.lostSince).toLocaleTimeString('en-GB')}. What stands here is from then; it is tried again by itself.`;
    if (banner.textContent !== text) banner.textContent = text;
  }
}

let toastTimer = 0;
function toast(text, wrong) {
  const el = $('toast');
  el.textContent = clean(text);
  el.className = wrong ? 'wrong' : '';
  el.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { el.hidden = true; }, 6000);
}

// ---- talking to the engine --------------------------------------------------------------------------------------

async function api(path, body) {
  const options = body === undefined ? {} : {
    method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', 'X-Tidings-Csrf': state.session ? state.session.csrf : '' },
  };
  const answer = await fetch(`/api/v1/${path}`, { ...options, credentials: 'same-origin' });
  if (answer.status === 401) { location.assign('/login'); throw new Error('Log in first.'); }
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.error || `The engine answered ${answer.status}.`);
  return json;
}

async function openSession() { state.session = await api('session'); }

function lost(why) {
  if (state.connected || !state.lostSince) state.lostSince = Date.now();
  state.connected = false;
  state.lostWhy = why;
  render();
}

function begin() { return openSession().catch(() => {}).finally(connect); }

let source = null;
function connect() {
  if (source) source.close();
  source = new EventSource('/api/v1/stream');
  source.addEventListener('open', () => { openSession().catch(() => {}); });
  source.addEventListener('report', (message) => {
    const { report, needs } = JSON.parse(message.data);
    Object.assign(state, { report, needs, connected: true, lostSince: null });
    state.skew = Date.parse(report.generated_at) - Date.now();
    render();
  });
  source.addEventListener('events', (message) => {
    const { events, whole } = JSON.parse(message.data);
    state.events = (whole ? events : state.events.concat(events)).slice(-MAX_EVENTS);
    render();
  });
  source.addEventListener('lost', (message) => lost(`Tidings runs, and ${JSON.parse(message.data).error}`));
  source.addEventListener('error', () => {
    lost('No connection to Tidings');
    // A stream that was refused is not taken up again by itself; a token that holds no more leads to the login.
    if (source.readyState === EventSource.CLOSED) setTimeout(begin, 3000);
  });
}

// ---- asking before doing ----------------------------------------------------------------------------------------

function ask({ title, body, fields, verb, danger, run }) {
  const dialog = $('ask');
  const error = h('p', { class: 'bad', role: 'alert' });
  const go = h('button', { class: danger ? 'danger' : 'primary', type: 'submit' }, verb);
  const form = h('form', { method: 'dialog' },
    h('h2', { id: 'ask-title' }, title), body,
    (fields || []).map((f) => [h('label', { for: `f-${f.id}` }, f.label), f.area
      ? h('textarea', { id: `f-${f.id}`, maxlength: f.most, required: f.required, rows: 6 }, f.value || '')
      : h('input', { id: `f-${f.id}`, maxlength: f.most, required: f.required, value: f.value || '', autocomplete: 'off' })]),
    error,
    h('div', { class: 'row' }, h('button', { type: 'button', 'data-act': 'close' }, 'Cancel'), go));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const values = {};
    for (const f of fields || []) values[f.id] = form.querySelector(`#f-${f.id}`).value.trim();
    if ('by' in values) { try { localStorage.setItem('tidings-name', values.by); } catch { /* private mode */ } }
    go.disabled = true;
    error.textContent = '';
    try {
      const done = await run(values);
      dialog.close();
      toast(done.message || 'Done.');
    } catch (why) { error.textContent = clean(why.message); } finally { go.disabled = false; }
  });
  form.addEventListener('keydown', (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(go); } });
  dialog.replaceChildren(form);
  dialog.showModal();
  (form.querySelector('textarea, input') || go).focus();
}

const nameField = () => { let value = ''; try { value = localStorage.getItem('tidings-name') || ''; } catch { /* private mode */ } return { id: 'by', label: 'Your name, for the record (optional)', most: 60, value }; };
const path = (campaign, verb) => `campaigns/${encodeURIComponent(campaign)}/${verb}`;

const acts = {
  close: () => $('ask').close(),
  suspend: (campaign) => ask({
    title: `Suspend ${clean(campaign)}?`, body: h('p', {}, 'Nothing leaves in its name until somebody resumes it. What is on the way arrives.'),
    fields: [{ id: 'reason', label: 'Why', most: 500, required: true }, nameField()], verb: 'Suspend', danger: true, run: (v) => api(path(campaign, 'suspend'), v),
  }),
  resume: (campaign) => ask({
    title: `Resume ${clean(campaign)}?`, body: h('p', {}, 'It goes on from where it was; a tripped guardrail or a stall is cleared, and its counts begin anew.'),
    fields: [{ id: 'reason', label: 'Why (optional)', most: 500 }, nameField()], verb: 'Resume', run: (v) => api(path(campaign, 'resume'), v),
  }),
  'suspend-all': () => ask({
    title: 'Suspend all campaigns?', body: h('p', {}, 'Nothing leaves in any campaign’s name until somebody resumes all.'),
    fields: [{ id: 'reason', label: 'Why', most: 500, required: true }, nameField()], verb: 'Suspend all', danger: true, run: (v) => api('suspend', v),
  }),
  'resume-all': () => ask({
    title: 'Resume all campaigns?', body: h('p', {}, 'Every suspension is lifted, and tripped guardrails and stalls are cleared.'),
    fields: [{ id: 'reason', label: 'Why (optional)', most: 500 }, nameField()], verb: 'Resume all', run: (v) => api('resume', v),
  }),
  reconcile: async (campaign) => toast((await api(path(campaign, 'reconcile'), {})).message),
  approve: async (campaign) => {
    const it = await api(path(campaign, 'approval'));
    ask({
      title: `Approve ${clean(campaign)} for ${n(it.people)} people?`,
      body: [
        it.message ? h('p', {}, clean(it.message)) : !it.awaited && h('p', {}, 'Nothing waits for an approval now; this one would hold for a later run of the same texts and people.'),
        h('p', {}, `It holds for these texts, sources and accounts, and for up to a tenth more people.`),
        h('p', {}, 'From ', it.sources.map((s, at) => [at > 0 && '; ', name(s)]), it.accounts.length > 0 && [', by ', it.accounts.map((a, at) => [at > 0 && ', ', name(a)])], '.'),
        it.variants.map((v) => [h('strong', {}, name(v.name), ` (weight ${v.weight})`), h('pre', { class: 'text' }, h('bdi', {}, plain(v.text)))]),
      ],
      fields: [nameField()], verb: `Approve for ${n(it.people)} people`, run: (v) => api(path(campaign, 'approve'), { ...v, digest: it.digest, people: it.people }),
    });
  },
  logout: async () => {
    await fetch('/logout', { method: 'POST', headers: { 'X-Tidings-Csrf': state.session.csrf }, credentials: 'same-origin' });
    location.assign('/login');
  },
};

document.addEventListener('click', async (event) => {
  const el = event.target.closest('[data-act]');
  if (!el) return;
  el.disabled = true;
  try { await acts[el.dataset.act](el.dataset.name, el); } catch (why) { toast(why.message, true); } finally { el.disabled = false; }
});
addEventListener('hashchange', render);
setInterval(render, 1000);

// The other scripts belong to it: all of them are there by then.
addEventListener('DOMContentLoaded', () => { begin(); loadTalks(); });
