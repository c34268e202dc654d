//! What is said of whom one talks to, and of who wrote a text.

use std::ops::Range;

use super::CLOSE;
use super::is_slavic_verb;
use super::sentence::Sentence;
use super::words::*;

impl Sentence {
    /// A word for what goes on between the speaker and whom he speaks to.
    fn is_talking(&self, at: usize) -> bool {
        self.is(at, TALKING) || self.is(at, TALKS) || self.is(at, IN_TOUCH)
    }

    /// The same in a language that has no form for what goes on; `schreiben Sie` only asks for it.
    fn is_verb_of_talk(&self, at: usize) -> bool {
        self.is(at, TALKS) && !((at == 0 || self.is_end(at)) && self.is(at + 1, "sie du ihr"))
    }

    /// Whether a clause says that one talks to somebody now.
    pub(super) fn is_talk(&self, clause: &Range<usize>) -> bool {
        let you =
            |mut places: Range<usize>| places.any(|at| clause.contains(&at) && self.is(at, YOU));
        let be = |places| self.has_in(places, BES);
        clause.clone().any(|at| {
            let before = at.saturating_sub(4)..at;
            let goes_on = self.is(at, TALKING) || self.is(at, IN_TOUCH);
            let verbs = || clause.clone().any(|i| self.is_verb(i));
            goes_on && you(before.clone()) && be(before.clone())
                || self.is(at, "reached got") && you(before)
                || self.is(at, TALKING) && you(at + 1..at + 3)
                || self.is_verb_of_talk(at) && you(clause.clone())
                // `Here you talk to people`, `с вами живой человек`
                || self.is(at, "talk speak chat write")
                    && you(at.saturating_sub(1)..at)
                    && self.has_in(clause.clone(), PLACES)
                || self.is(at, "с со з перед")
                    && self.is(at + 1, "вами тобой тобою")
                    && (self.has_in(clause.clone(), TALKS) || !verbs())
        })
    }

    fn is_verb(&self, at: usize) -> bool {
        self.words
            .get(at)
            .is_some_and(|word| is_slavic_verb(&word.text))
    }

    /// `You are talking to a human`, `вы общаетесь не с ботом`, `a real person is answering`.
    pub(super) fn denies_of_talking(&self) -> bool {
        !self.asks
            && self.statements().iter().any(|clause| {
                // `If you want to talk to a human` is no word on who talks.
                let sure = !self.has_in(clause.clone(), MAYBE);
                sure && (self.is_talk(clause) && self.denies_in_talk(clause)
                    || clause.clone().any(|at| self.is_human_talking(at, clause)))
            })
    }

    fn denies_in_talk(&self, clause: &Range<usize>) -> bool {
        const ABOUT: &str = "about über that dass что о об who";
        let machine = clause.clone().find(|at| self.is_machine(*at));
        let of_them = |at: usize| {
            let talk = (clause.start..at).rev().find(|i| self.is_talking(*i));
            talk.is_some_and(|talk| self.has_in(talk + 1..at, ABOUT))
        };
        // Of whom one does not say `you` before it, only the plainest words count: `our people speak to you of it`.
        let you = |at: usize| self.has_in(clause.start..at, YOU);
        machine.is_some_and(|at| self.is_denied(at))
            || clause.clone().any(|at| {
                let near = || {
                    (at.saturating_sub(5)..at + 6)
                        .any(|i| clause.contains(&i) && (self.is_talking(i) || self.is(i, YOU)))
                };
                (self.is_human(at) || self.is_person(at) && near() && you(at))
                    && !self.is_denied_since(at, clause.start)
                    && !of_them(at)
                    && machine.is_none_or(|machine| machine > at)
            })
    }

    /// `A human is typing`, `отвечает живой человек`.
    fn is_human_talking(&self, at: usize, clause: &Range<usize>) -> bool {
        let goes_on = |i: usize| self.is(i, TALKING) || self.is(i, "reading");
        let is_now = (at + 1..at + 4).any(|i| goes_on(i) && self.has_in(at + 1..i, BES));
        let near = || {
            let around = at.saturating_sub(3).max(clause.start)..(at + 3).min(clause.end);
            around.clone().any(|i| self.is_verb_of_talk(i))
        };
        self.is_human(at) && !self.is_denied(at) && (is_now || near())
    }

    /// The clauses, and what somebody is told in them: `you can be sure that you are talking to a human`.
    fn statements(&self) -> Vec<Range<usize>> {
        let mut all = Vec::new();
        for clause in self.clauses() {
            let mut from = clause.start;
            for at in clause.clone().filter(|at| self.is(*at, "that dass что що")) {
                all.push(from..at);
                from = at;
            }
            all.push(from..clause.end);
        }
        all
    }

    /// `This was written by a human`, `not by a bot`.
    pub(super) fn denies_of_writing(&self) -> bool {
        let ours = self.has(THIS) || self.has(THIS_ALONE) || self.has(MINE) || self.has(PLACES);
        ours && !self.asks
            && !self.has(MAYBE)
            && (0..self.len()).any(|at| {
                let near = at + 1..(at + CLOSE).min(self.len());
                let denied = self.has_in(at.saturating_sub(4)..at + 4, NOTS);
                self.is(at, WRITTEN)
                    && (near.clone().any(|i| self.is_machine(i) && denied)
                        || near.clone().any(|i| self.is_human(i) && !denied))
            })
    }
}
