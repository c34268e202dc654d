//! Where a text leads to: every host and every @name in it, whatever stands around them.
//!
//! Telegram makes links of hosts without a scheme, by a list of endings that its servers keep and that grows. An answer
//! with a link that is not allowed only waits for an operator, so here more is a link than there: any ending of Latin
//! letters, so that `price.pdf` is a host too, in each way in which a text may be read. Other scripts write
//! abbreviations without a space (`ул.Ленина`) and know few endings: those are listed.

use unicode_normalization::UnicodeNormalization;

use super::opt_out::{is_invisible, is_mark};

/// So often an escaped text may be escaped again: `%252E`.
const MAX_UNESCAPED: usize = 3;
/// A shorter @name is nobody's: the shortest that Telegram ever gave have three letters.
const SHORTEST_NAME: usize = 3;

/// The hosts that a text links to, lower case, and the names of people, groups and channels (`@name`), each once. Of a
/// link with another scheme than the web's the scheme stays with it: `tg://resolve`.
pub fn linked_hosts(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for reading in readings(text) {
        Scan {
            chars: reading.chars().collect(),
            found: &mut found,
        }
        .run();
    }
    found
}

/// A link that none of the `allowed` hosts covers; their subdomains are allowed with them.
pub fn forbidden_host<S: AsRef<str>>(text: &str, allowed: &[S]) -> Option<String> {
    let allowed: Vec<String> = allowed.iter().map(|fine| ascii(fine.as_ref())).collect();
    linked_hosts(text).into_iter().find(|host| {
        let host = ascii(host);
        !allowed
            .iter()
            .any(|fine| host == *fine || host.ends_with(&format!(".{fine}")))
    })
}

/// A host as the name system knows it: `пример.рф` and `xn--e1afmkfd.xn--p1ai` are one.
fn ascii(host: &str) -> String {
    idna::domain_to_ascii(host).unwrap_or_else(|_| host.to_lowercase())
}

/// A text as it stands, as it looks, and with its escapes undone: clients differ in what they read.
fn readings(text: &str) -> Vec<String> {
    let visible: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .nfkc()
        // Full stops of East Asian scripts part the labels of a host too (RFC 3490, section 3.1).
        .map(|c| if matches!(c, '。' | '｡') { '.' } else { c })
        .collect();
    let mut readings = vec![text.to_owned()];
    if visible != text {
        readings.push(visible.clone());
    }
    let mut escaped = visible;
    for _ in 0..MAX_UNESCAPED {
        let plain = unescaped(&escaped);
        if plain == escaped {
            break;
        }
        readings.push(plain.clone());
        escaped = plain;
    }
    readings
}

/// A text whose `%XX` are undone, where they stand for what a host may be written with: an escaped space or comma of a
/// path ends it no more than the escape does.
fn unescaped(text: &str) -> String {
    let hex = |at: usize| {
        let digits = text.as_bytes().get(at..at + 2)?;
        u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let escape = hex(at + 1).filter(|_| *byte == b'%');
        let plain =
            escape.filter(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || b"-._@:/%".contains(b));
        out.push(plain.unwrap_or(*byte));
        at += if plain.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

struct Scan<'a> {
    chars: Vec<char>,
    found: &'a mut Vec<String>,
}

impl Scan<'_> {
    fn run(mut self) {
        let mut at = 0;
        while at < self.chars.len() {
            at = if self.starts(at, "://") {
                self.scheme(at)
            } else if self.at(at) == Some('@') {
                self.name(at)
            } else if self.at(at).is_some_and(is_joined) {
                self.host(at)
            } else {
                at + 1
            };
        }
    }

    fn at(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    fn starts(&self, at: usize, with: &str) -> bool {
        with.chars()
            .enumerate()
            .all(|(i, c)| self.at(at + i) == Some(c))
    }

    /// Where a run of such signs that begins here ends.
    fn end_of(&self, from: usize, part: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.iter().skip(from);
        from + rest.take_while(|c| part(**c)).count()
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.chars
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .collect::<String>()
            .to_lowercase()
    }

    fn push(&mut self, link: String) {
        if !self.found.contains(&link) {
            self.found.push(link);
        }
    }

    /// At the `://`: whatever follows is a link, a host of one label and an address of version 6 too.
    fn scheme(&mut self, at: usize) -> usize {
        let letters = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-');
        let before = self.chars.iter().take(at).rev();
        let scheme = self.text(at - before.take_while(|c| letters(c)).count(), at);
        let from = at + 3;
        let to = self.end_of(from, |c| {
            !c.is_whitespace() && !"/?#\\<>\"'`«»()".contains(c)
        });
        let authority = self.text(from, to);
        let host = authority.rsplit_once('@').map_or(&*authority, |(_, h)| h);
        let host = host
            .rsplit_once(':')
            .filter(|(_, port)| port.chars().all(|c| c.is_ascii_digit()))
            .map_or(host, |(host, _)| host);
        let host = match host.starts_with('[') {
            true => host,
            false => host.trim_matches(|c: char| !c.is_alphanumeric()),
        };
        if !host.is_empty() {
            // A scheme may be glued to what stands before it.
            let web = ["http", "https", "ftp"].iter().any(|s| scheme.ends_with(s));
            self.push(match web {
                true => host.to_owned(),
                false => format!("{scheme}://{host}"),
            });
        }
        // What stands in it may be one more: `https://shop.example@evil.com`.
        from
    }

    /// At the `@`. Whoever stands before a host has a mail box, or is what a link hides behind: the host tells.
    fn name(&mut self, at: usize) -> usize {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let to = self.end_of(at + 1, word);
        let glued = at > 0 && self.at(at - 1).is_some_and(is_label);
        let begins = self.at(at + 1).is_some_and(|c| c.is_ascii_alphabetic());
        if begins && to - at > SHORTEST_NAME && !(glued && self.is_host_at(at + 1)) {
            let name = self.text(at, to);
            self.push(name);
        }
        at + 1
    }

    fn is_host_at(&self, from: usize) -> bool {
        let to = self.end_of(from, |c| is_label(c) || c == '.');
        host_in(&self.text(from, to)).is_some()
    }

    /// At a run of which a client may make a host. It may take the whole run for one, signs and all.
    fn host(&mut self, from: usize) -> usize {
        let to = self.end_of(from, is_joined);
        if self.at(to) == Some('@') && self.is_host_at(to + 1) {
            // Whose mail box it is, or what stands before the host proper.
            return to;
        }
        let run = self.text(from, to);
        let pieces: Vec<&str> = run.split(|c| !is_label(c) && c != '.').collect();
        let mut is_link = false;
        for host in pieces.iter().flat_map(|piece| piece.split("..")) {
            if let Some(host) = host_in(host) {
                is_link = true;
                self.push(host.to_owned());
            }
        }
        let whole = run.trim_matches(|c: char| !c.is_alphanumeric() && c.is_ascii());
        let end = whole.rsplit_once('.').map(|(_, end)| end);
        if pieces.iter().filter(|piece| !piece.is_empty()).count() > 1 && end.is_some_and(is_ending)
            || whole.starts_with(|c| !is_label(c)) && end.is_some_and(is_ending)
        {
            is_link = true;
            self.push(whole.to_owned());
        }
        let after = match self.at(to) {
            Some(':') => self.end_of(to + 1, |c| c.is_ascii_digit()),
            _ => to,
        };
        match self.at(after) {
            // The rest of a link is no other link, but for one that has a scheme of its own.
            Some('/' | '?' | '#') if is_link => self.path(after),
            _ => to,
        }
    }

    fn path(&self, from: usize) -> usize {
        let mut at = from;
        while let Some(c) = self.at(at) {
            let is_path = is_label(c) || "./~?#:@&+=%$".contains(c);
            if !is_path || self.starts(at, "://") {
                break;
            }
            at += 1;
        }
        at
    }
}

/// Part of a label of a host.
fn is_label(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c) || matches!(c, '-' | '_')
}

/// What Telegram lets a host consist of where it looks for one (TDLib, `match_urls`): signs of other scripts, dashes
/// and emoji too.
fn is_joined(c: char) -> bool {
    match c {
        '.' | '~' => true,
        '\u{2000}'..='\u{206f}' => matches!(c, '\u{200c}' | '\u{200d}' | '\u{2010}'..='\u{2015}'),
        _ if c >= '\u{c0}' => !c.is_whitespace(),
        _ => is_label(c),
    }
}

/// A piece of a text as a host.
fn host_in(piece: &str) -> Option<&str> {
    let host = piece.trim_matches(|c: char| !c.is_alphanumeric() && !is_mark(c));
    let (before, end) = host.rsplit_once('.')?;
    let whole = !before.split('.').any(str::is_empty);
    let found = whole && (is_ending(end) || host.parse::<std::net::Ipv4Addr>().is_ok());
    found.then_some(host)
}

/// Whether a host may end so.
fn is_ending(label: &str) -> bool {
    let latin = label.len() > 1 && label.chars().all(|c| c.is_ascii_alphabetic());
    latin || label.starts_with("xn--") || ENDINGS.split(' ').any(|ending| ending == label)
}

/// The endings of other scripts (IANA, root zone; publicsuffix.org, 2026).
const ENDINGS: &str = "\
    ελ ευ бг бел дети ею католик ком мкд мон москва онлайн орг рус рф сайт срб укр қаз հայ \
    ישראל קום ابوظبي ارامكو الاردن البحرين الجزائر العليان المغرب اليمن امارات ايران ایران \
    بارت بازار بيتك بھارت تونس سودان سوريا سورية شبكة عراق عرب عمان فلسطين قطر كاثوليك كوم مصر \
    مليسيا موقع همراه پاكستان پاکستان ڀارت कॉम नेट भारत ভারত ভাৰত ਭਾਰਤ ભારત ଭାରତ ಭಾರತ ලංකා คอม \
    ไทย ລາວ გე みんな アマゾン クラウド グーグル コム ストア セール ポイント 世界 中信 中国 中國 中文网 亚马逊 企业 佛山 信息 健康 八卦 公司 公益 台湾 \
    台灣 商城 商店 商标 嘉里 在线 大拿 天主教 娱乐 家電 广东 微博 慈善 我爱你 手机 招聘 政务 政府 新加坡 新闻 时尚 書籍 机构 淡马锡 游戏 澳門 澳门 点看 移动 \
    组织机构 网址 网店 网站 网络 联通 臺灣 谷歌 购物 通販 集团 電訊盈科 飞利浦 食品 餐厅 香格里拉 香港 닷넷 닷컴 삼성 한국";

#[cfg(test)]
mod tests;
