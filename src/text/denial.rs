//! Whether an answer denies being a machine, or claims to be a human.
//!
//! By its words, in the languages of [`words`]: who speaks, of whom he speaks, and what he is said to be. An answer that
//! is caught only waits for an operator, so that a doubt is a denial; but that of robots, people and human resources in
//! general, and of whom one may talk to, can be spoken.

mod sentence;
mod talk;
mod words;

use sentence::{Sentence, sentences};
use words::*;

/// So many words may stand between the two that belong together.
const NEAR: usize = 9;
/// And where only small words may.
const CLOSE: usize = 6;

/// Whether an answer to these messages says that it is no machine, or a human.
pub fn denies_machine<S: AsRef<str>>(answer: &str, asked: &[S]) -> bool {
    let said = sentences(answer);
    let admits = said.iter().any(Sentence::admits);
    let denies = said.iter().enumerate().any(|(at, sentence)| {
        sentence.denies(admits)
            || said
                .get(at + 1)
                .is_some_and(|next| sentence.asks && answers(&sentence.asked_of_self(), next))
    });
    denies || {
        let question = asked.iter().flat_map(|text| sentences(text.as_ref())).fold(
            Asked::default(),
            |all, sentence| {
                let one = sentence.asked();
                Asked {
                    machine: all.machine || one.machine,
                    human: all.human || one.human,
                }
            },
        );
        let first = said.first();
        !admits
            && (question.machine && question.human
                || first.is_some_and(|first| answers(&question, first)))
    }
}

/// What the speaker was asked to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Asked {
    machine: bool,
    human: bool,
}

/// What somebody is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Machine,
    NoMachine,
    Human,
    NoHuman,
}

/// Whether a sentence that answers the question makes a human of the speaker.
fn answers(asked: &Asked, answer: &Sentence) -> bool {
    // `Haha, no`: what only leads up to it is no answer.
    let small = |clause: &std::ops::Range<usize>| {
        clause
            .clone()
            .all(|at| answer.is(at, SMALL) && !answer.is(at, YES))
    };
    let Some(first) = answer.clauses().into_iter().find(|clause| !small(clause)) else {
        return false;
    };
    let short = |more: &str| {
        first.clone().all(|at| {
            answer.is(at, SMALL)
                || answer.is(at, SELVES)
                || answer.is(at, SELVES_ALONE)
                || answer.is(at, THIS)
                || answer.is(at, THIS_ALONE)
                || answer.is(at, BES)
                || answer.is(at, more)
        })
    };
    let no = answer.has_in(first.clone(), NOTS);
    let yes = answer.has_in(first.clone(), YES)
        || answer.has_in(first.clone(), SELVES) && answer.has_in(first.clone(), BES);
    asked.machine && no && short(NOTS) || asked.human && !no && yes && short(YES)
}

impl Sentence {
    fn is_robot(&self, at: usize) -> bool {
        let model = |word: &str| word.starts_with("model") || word.starts_with("модел");
        self.is(at, ROBOTS)
            || at > 0
                && self.is(at - 1, LANGUAGE)
                && self.words.get(at).is_some_and(|word| model(&word.text))
    }

    fn is_machine(&self, at: usize) -> bool {
        self.is_robot(at) || self.is(at, PROGRAMS)
    }

    /// A word for a human that cannot mean anything else.
    fn is_human(&self, at: usize) -> bool {
        let flesh = self.is(at, FLESH) && self.has_in(at + 1..at + 3, BLOOD);
        let real = self.is(at, PEOPLE)
            && (self.has_in(at.saturating_sub(2)..at, REAL)
                || self.has_in(at + 1..at + 3, REAL_AFTER));
        flesh || real || self.is(at, HUMANS) && !self.is(at + 1, HUMAN_THINGS)
    }

    /// A word for people; of so many people it tells nothing.
    fn is_person(&self, at: usize) -> bool {
        let counted = at > 0
            && self
                .words
                .get(at - 1)
                .is_some_and(|word| word.text.chars().all(|c| c.is_ascii_digit()));
        self.is_human(at) || self.is(at, PEOPLE) && !counted
    }

    fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        if !self.is_on_it() {
            return asked;
        }
        let mut note = |said: Option<Said>| match said {
            Some(Said::Machine | Said::NoMachine) => asked.machine = true,
            Some(Said::Human | Said::NoHuman) => asked.human = true,
            None => {}
        };
        for at in 0..self.len() {
            let alone = self.is(at, THIS_ALONE) || self.is(at, YOU_ALONE) || at == 0;
            if self.is(at, YOU)
                || self.is(at, THIS)
                || self.is(at, THIS_ALONE)
                || self.is(at, SELVES)
            {
                let inverted = || self.is_inverted(at).then_some(at + 1);
                let after = self.be_after(at).or_else(inverted);
                note(
                    after
                        .or(alone.then_some(at + 1))
                        .and_then(|at| self.said_closely(at)),
                );
            }
        }
        let small = |at| {
            self.is(at, SMALL)
                || self.is(at, YOU)
                || self.is(at, REAL)
                || self.is(at, SELVES)
                || self.is(at, ME)
                || self.is(at, ANDS)
        };
        let bare = self.len() <= CLOSE
            && (0..self.len()).all(|at| small(at) || self.is_robot(at) || self.is_person(at));
        let mine = (0..self.len()).any(|at| self.is(at, SELVES) || self.is(at, SELVES_ALONE));
        if bare || mine && (self.has(TALKING) || self.has(TALKS)) {
            for at in 0..self.len() {
                if self.is_robot(at) {
                    note(Some(Said::Machine));
                } else if self.is_person(at) {
                    note(Some(Said::Human));
                }
            }
        }
        // Either of both: `a bot or a human`.
        if asked != Asked::default() {
            asked.machine |= (0..self.len()).any(|at| self.is_robot(at));
            asked.human |= (0..self.len()).any(|at| self.is_person(at));
        }
        asked
    }

    /// What the speaker asks of himself: `do I sound like a bot?`
    fn asked_of_self(&self) -> Asked {
        const SEEMS: &str = "sound look seem klinge wirke похож похожа";
        let asked = self.asked();
        let seems = self.has(SEEMS) && self.has(MINE);
        Asked {
            machine: asked.machine || seems && (0..self.len()).any(|at| self.is_robot(at)),
            human: asked.human || seems && (0..self.len()).any(|at| self.is_human(at)),
        }
    }

    /// Whether the speaker says that he is a machine.
    fn admits(&self) -> bool {
        !self.asks
            && self
                .selves()
                .any(|after| self.said_of_self(after, false) == Some(Said::Machine))
    }

    /// Where the speaker `admits` elsewhere what he is, the humans who are here are others.
    fn denies(&self, admits: bool) -> bool {
        self.is_on_it()
            && (self.denies_of_self()
                || self.denies_of_this()
                || !admits && self.is_human_here()
                || self.denies_of_dialog()
                || self.denies_of_us()
                || self.denies_in_short()
                || self.denies_of_nobody()
                || self.denies_of_talking()
                || self.denies_of_writing()
                || self.denies_as_human()
                || self.denies_by_opinion()
                || self.denies_backwards())
    }

    /// Whether a machine or a human is spoken of at all: most sentences are of something else.
    fn is_on_it(&self) -> bool {
        (0..self.len()).any(|at| {
            self.is_machine(at)
                || self.is_human(at)
                || [PEOPLE, REAL_ALONE].iter().any(|of| self.is(at, of))
        })
    }

    /// Where what the speaker says of himself begins.
    fn selves(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter_map(|at| {
            if self.is(at, SELVES_ALONE) || self.is(at, SELF_BE) {
                return Some(at + 1);
            }
            if !self.is(at, SELVES) {
                return None;
            }
            self.be_after(at)
                .or_else(|| (!self.asks && self.is_inverted(at)).then_some(at + 1))
        })
    }

    /// Where the form of 'to be' after a subject ends; a denial between the two is not left out.
    fn be_after(&self, at: usize) -> Option<usize> {
        let mut be = at + 1;
        while be <= at + 4 {
            if self.is(be, BES) {
                // A denial between is read again with what follows.
                let denied = (at + 1..be).find(|at| self.is(*at, NOTS));
                return Some(denied.unwrap_or(be + 1));
            }
            let adverb = self
                .words
                .get(be)
                .is_some_and(|word| word.text.ends_with("ly"));
            if !adverb && !self.is(be, BETWEEN) && !self.is(be, NOTS) {
                return None;
            }
            be += 1;
        }
        None
    }

    fn is_inverted(&self, at: usize) -> bool {
        at > 0 && self.is(at - 1, BES) && !self.is(at, SELVES_ALONE)
    }

    fn denies_of_self(&self) -> bool {
        !self.asks
            && self.selves().any(|after| {
                matches!(
                    self.said_of_self(after, false),
                    Some(Said::NoMachine | Said::Human)
                )
            })
            || (0..self.len()).any(|at| {
                // `I call myself a human`; a denial stands somewhere before it.
                let denied = self.has_in(at.saturating_sub(CLOSE)..at, NOTS);
                self.is(at, ME)
                    && self.has_in(at.saturating_sub(2)..at, OPINIONS)
                    && matches!(
                        self.said_of_self(at + 1, denied),
                        Some(Said::NoMachine | Said::Human)
                    )
            })
    }

    /// What the speaker is said to be from this place on.
    fn said_of_self(&self, from: usize, denied: bool) -> Option<Said> {
        let mut not = denied;
        // A new clause may have a subject of its own.
        let mut fresh = false;
        for at in from..(from + NEAR).min(self.len()) {
            let word = self.words.get(at)?;
            fresh |= word.comma || self.is(at, ANDS);
            let subject = fresh && self.is_subject(at);
            if self.is(at, BUTS) {
                (not, fresh) = (false, true);
            } else if self.is(at, NOTS) {
                not = true;
            } else if self.is_machine(at) {
                return match (not, subject) {
                    (false, _) => Some(Said::Machine),
                    (true, true) => None,
                    (true, false) => Some(Said::NoMachine),
                };
            } else if self.is(at, ASSISTANTS) {
                if !not {
                    return None;
                }
            } else if self.is_person(at) {
                return match (not, subject) {
                    (true, _) => Some(Said::NoHuman),
                    (false, true) => None,
                    (false, false) => Some(Said::Human),
                };
            } else if !not && self.is(at, REAL_ALONE) && self.is_end(at + 1) {
                return Some(Said::Human);
            } else if self.is(at, APART) || is_doing(&word.text) {
                return None;
            }
        }
        None
    }

    /// Whether somebody does something: `a human will answer`, `человек ответит`.
    fn is_subject(&self, at: usize) -> bool {
        (at + 1..at + 3).any(|next| {
            self.is(next, THEIRS)
                || self
                    .words
                    .get(next)
                    .is_some_and(|word| is_slavic_verb(&word.text))
        })
    }

    /// What is said where only small words stand between.
    fn said_closely(&self, from: usize) -> Option<Said> {
        let mut not = false;
        for at in from..(from + CLOSE).min(self.len()) {
            let word = self.words.get(at)?;
            if self.is(at, NOTS) {
                not = true;
            } else if self.is_robot(at) {
                return Some(if not { Said::NoMachine } else { Said::Machine });
            } else if self.is_human(at)
                || self.is_person(at) && (self.is_end(at + 1) || self.is(at + 1, TALKING))
                || self.is(at, REAL_ALONE) && self.is_end(at + 1)
            {
                return Some(if not { Said::NoHuman } else { Said::Human });
            } else if !self.is_small(at) || word.comma && at > from {
                return None;
            }
        }
        None
    }

    /// A small word, an adverb or an adjective.
    fn is_small(&self, at: usize) -> bool {
        const ADJECTIVE: [&str; 12] = [
            "ый", "ий", "ой", "ая", "яя", "ое", "ее", "ые", "ие", "ым", "ых", "ly",
        ];
        self.is(at, SMALL)
            || self.is(at, REAL)
            || self.is(at, PLACES)
            || self.is(at, BES)
            || self.words.get(at).is_some_and(|word| {
                word.text.chars().count() > 3
                    && ADJECTIVE.iter().any(|end| word.text.ends_with(end))
            })
    }

    /// `This is no bot`, `there are no bots`, `это живой человек`.
    fn denies_of_this(&self) -> bool {
        !self.asks
            && (0..self.len()).any(|at| {
                let inverted = || self.is_inverted(at).then_some(at + 1);
                let from = match self.is(at, THIS_ALONE) {
                    true => Some(at + 1),
                    false if self.is(at, THIS) => self.be_after(at).or_else(inverted),
                    false => None,
                };
                let Some(from) = from else { return false };
                let what = (from..self.len()).find(|at| {
                    let real = self.is(*at, REAL_ALONE) && self.is_end(at + 1);
                    self.is_robot(*at) || self.is_person(*at) || real
                });
                let Some(what) = what else { return false };
                match self.said_closely(from) {
                    // `There is no robot in the box` is of robots.
                    Some(Said::NoMachine) if self.is(at, "there es") => {
                        self.is_end(what + 1) || self.is_placed(what)
                    }
                    Some(Said::NoMachine) => !self.is(what + 1, APART),
                    Some(Said::Human) => {
                        let there = self.is(at, "there es");
                        (self.is_end(what + 1) || self.is(what + 1, TALKING)) && !there
                            || self.is_human(what) && self.is_placed(what)
                            || self.is_human(what) && !there && !self.is(what + 1, APART)
                    }
                    _ => false,
                }
            })
    }

    /// `A human is behind this chat`, `живой человек на связи`.
    fn is_human_here(&self) -> bool {
        !self.asks
            && !self.has(MAYBE)
            && (0..self.len())
                .any(|at| self.is_human(at) && self.is_placed(at) && !self.is_denied(at))
    }

    /// `This account is run by a human`, `this chat is not automated`.
    fn denies_of_dialog(&self) -> bool {
        let ours = (1..self.len()).any(|at| {
            self.is(at, DIALOG)
                && (self.is(at - 1, THESE) || self.is(at - 1, THIS) || self.is(at - 1, THIS_ALONE))
        });
        let robot = (0..self.len()).find(|at| self.is_robot(*at));
        let human = || (0..self.len()).any(|at| self.is_human(at) && !self.is_denied(at));
        ours && !self.asks
            && (robot.is_some_and(|at| self.is_denied(at))
                || robot.is_none() && !self.has(MAYBE) && human())
    }

    /// `We use no bots`, `у нас нет ботов`.
    fn denies_of_us(&self) -> bool {
        !self.asks
            && self.clauses().into_iter().any(|clause| {
                clause.clone().any(|at| {
                    let before = clause.start..at;
                    self.is(at, BOTS)
                        && self.has_in(before.clone(), NOTS)
                        && (self.is(at + 1, PLACES)
                            || self.has_in(before.clone(), USES)
                                && self.has_in(before, MINE)
                                && self.is_end(at + 1))
                })
            })
    }

    /// Whether what stands at this place is denied; `No, …` denies what was said before.
    fn is_denied(&self, at: usize) -> bool {
        self.is_denied_since(at, 0)
    }

    fn is_denied_since(&self, at: usize, start: usize) -> bool {
        (at.saturating_sub(5).max(start)..at)
            .rev()
            .take_while(|i| !self.is(*i, BUTS))
            .any(|i| self.is(i, NOTS) && (i + 1 == at || !self.is_end(i + 1)))
    }

    /// Whether somebody is said to be at this end of the conversation.
    fn is_placed(&self, at: usize) -> bool {
        let this = |i: usize| self.is(i, SIDES) && self.is(i - 1, THESE);
        self.has_in(at + 1..at + 4, PLACES)
            || self.has_in(at.saturating_sub(4)..at, PLACES)
            || (at.saturating_sub(6).max(1)..at + 7).any(this)
    }

    /// A clause of nothing else: `no bot`, `a real person`, `100% human`.
    fn denies_in_short(&self) -> bool {
        if self.asks {
            return false;
        }
        let whole = self.clauses();
        // After a name: `you are chatting with Mia, a human being`.
        let mine = || [SELVES, SELVES_ALONE, ME].iter().any(|of| self.has(of)) && !self.has(MAYBE);
        let spoken = self.selves().next().is_some()
            || mine()
            || self.is(0, THIS)
            || self.is(0, THIS_ALONE)
            || whole.iter().any(|clause| self.is_talk(clause));
        whole.iter().any(|clause| {
            let robot = clause.clone().any(|at| self.is_robot(at));
            let rest = |at: usize| !clause.contains(&at);
            let alone = (0..self.len())
                .filter(|at| rest(*at))
                .all(|at| self.is_small(at) || self.is(at, YES) || self.is(at, NOTS));
            let mine =
                self.has_in(clause.clone(), SELVES) || self.has_in(clause.clone(), SELVES_ALONE);
            let human = clause.clone().any(|at| {
                self.is_human(at)
                    || alone && self.is(at, HUMAN_ALONE)
                    || mine && self.is(at, REAL_ALONE)
            });
            let no = self.has_in(clause.clone(), NOTS);
            let nothing_else = clause.clone().all(|at| {
                self.is_small(at)
                    || self.is_robot(at)
                    || self.is_person(at)
                    || self.is(at, NOTS)
                    || self.is(at, YES)
                    || self.is(at, ME)
                    || self.is(at, BLOOD)
                    || self.is(at, ANDS)
                    || self.is(at, SELVES_ALONE)
                    || self.is(at, "being beings 100 i with to mit")
            });
            nothing_else
                && clause.len() <= NEAR
                && (no && robot && !human
                    || human
                        && !no
                        && !robot
                        && (alone || spoken)
                        && !self.has(ASSISTANTS)
                        && !self.admits())
        })
    }

    /// `Nobody here is a robot`, `какой я бот?`
    fn denies_of_nobody(&self) -> bool {
        (0..self.len()).any(|at| {
            let what = self.is(at, "какой какая який яка");
            let am_i = (at + 1..at + 3).any(|i| self.is(i, SELVES_ALONE) && self.is_robot(i + 1));
            what && am_i
        }) || (0..self.len()).any(|at| {
            self.is(at, NOBODY)
                && (at + 1..(at + CLOSE).min(self.len())).any(|be| {
                    (self.is(be, BES) || self.is(be, "не"))
                        && matches!(
                            self.said_closely(be + 1),
                            Some(Said::Machine | Said::NoMachine)
                        )
                })
        })
    }

    /// `As a human being I understand`.
    fn denies_as_human(&self) -> bool {
        !self.asks
            && self.has(MINE)
            && (0..self.len()).any(|at| {
                let what = (at + 1..(at + 4).min(self.len())).take_while(|i| !self.is(*i, APART));
                let just = || {
                    what.clone()
                        .any(|i| self.is_human(i) || self.is_person(i) && self.is_mine(i))
                };
                let as_one = self.is(at, AS) || at == 0 && self.is(at, "being");
                let flesh = self.is(at, FLESH) && self.is_human(at);
                flesh || as_one && just() && !self.has_in(at.saturating_sub(3)..at, NOTS)
            })
    }

    /// Whether the clause after this place is the speaker's own.
    fn is_mine(&self, at: usize) -> bool {
        self.has_in(at + 1..at + 4, MINE)
    }

    /// `Don't call me a bot`.
    fn denies_by_opinion(&self) -> bool {
        (0..self.len()).any(|at| {
            let near = at.saturating_sub(2)..at + 4;
            let to = (at + NEAR).min(self.len());
            let about_me = |i: usize| {
                self.has_in(at..i, ME) || self.selves().any(|self_at| (at..=i).contains(&self_at))
            };
            self.is(at, OPINIONS)
                && self.has_in(near, NOTS)
                && (at..to)
                    .take_while(|i| *i == at || !self.is_end(*i))
                    .any(|i| self.is_machine(i) && about_me(i))
        })
    }

    /// `A bot I am not`, `ботом не являюсь`, `ein Bot bin ich nicht`.
    fn denies_backwards(&self) -> bool {
        (0..self.len()).any(|at| {
            if !self.is_machine(at) || at > 0 && self.has_in(at.saturating_sub(2)..at, AS) {
                return false;
            }
            let end = (at + 1..=self.len())
                .find(|i| self.is_end(*i))
                .unwrap_or(self.len());
            let rest = at + 1..end;
            let mine = rest
                .clone()
                .any(|i| self.is(i, SELVES) || self.is(i, SELVES_ALONE) || self.is(i, SELF_BE));
            mine && self.has_in(rest.clone(), NOTS)
                && rest.clone().all(|i| {
                    self.is_small(i)
                        || self.is(i, NOTS)
                        || self.is(i, SELVES)
                        || self.is(i, SELVES_ALONE)
                        || self.is(i, THIS)
                        || self.is(i, THIS_ALONE)
                })
        })
    }
}

/// A form of an English verb that goes on, or a Slavic verb: what follows is of something else.
fn is_doing(word: &str) -> bool {
    let english = word.len() > 5
        && word.ends_with("ing")
        && !matches!(
            word,
            "anything" | "nothing" | "something" | "everything" | "talking"
        );
    english || is_slavic_verb(word) && !words::is(word, SMALL)
}

fn is_slavic_verb(word: &str) -> bool {
    const ENDS: [&str; 21] = [
        "ть", "ться", "ю", "у", "ет", "ит", "ют", "ят", "ут", "ат", "ешь", "ишь", "ете", "ите",
        "л", "ла", "ли", "ло", "ся", "сь", "ти",
    ];
    const NONE: [&str; 3] = ["являюсь", "являемся", "совсем"];
    // `говорим`, and not `каким`.
    let we = word.ends_with("ем")
        || word
            .strip_suffix("им")
            .is_some_and(|stem| !stem.ends_with(['к', 'г', 'х', 'н', 'ж', 'ш', 'щ', 'ч']));
    word.chars().count() > 3
        && word
            .chars()
            .all(|c| ('а'..='я').contains(&c) || matches!(c, 'і' | 'ї' | 'є'))
        && !NONE.contains(&word)
        && (we || ENDS.iter().any(|end| word.ends_with(end)))
}

#[cfg(test)]
mod tests;
