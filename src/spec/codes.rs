//! The codes of all diagnostics, with what each means. They are part of what scripts may rely on: a code is never
//! given another meaning.

/// Names each code once, and lists all.
macro_rules! codes {
    ($($name:ident = $code:literal : $meaning:literal),+ $(,)?) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)+

        /// Every code of the checks of spec and tidings.yaml with its meaning, in alphabetical order of their
        /// names. The loader's own (syntax, size, schema) and those of templates stand in their modules.
        pub const ALL: &[(&str, &str)] = &[$(($code, $meaning)),+];
    };
}

codes! {
    AUDIENCE_CYCLE = "audience-cycle": "Campaigns take over each other's audience in a circle.",
    AI_KEY_TWICE = "ai-key-twice": "Both `api_key` and `api_key_file` are given.",
    BAD_CRON = "bad-cron": "The cron text cannot be read, or never fires.",
    BAD_HEADER = "bad-header": "A CSV file's header cannot be used: a column is missing, doubled, or names nobody.",
    BAD_HOST = "bad-host": "What should be a host name is something else, such as a whole link.",
    BAD_PATH = "bad-path": "A path holds what no path here may hold.",
    BAD_PATTERN = "bad-pattern": "An owner's path pattern can match no spec.",
    BAD_PROXY = "bad-proxy": "A proxy's address is not `socks5://host:port`.",
    BAD_ROW = "bad-row": "A row of a CSV or TXT file names nobody and is left out.",
    BAD_TIME = "bad-time": "A wall-clock time cannot be read.",
    BAD_TIMEZONE = "bad-timezone": "The IANA database has no zone of that name.",
    BAD_URL = "bad-url": "An address is not an http or https one.",
    BAD_WINDOW = "bad-window": "A window of the week cannot be read.",
    BASIS_IGNORED = "basis-ignored": "A source carries a basis where none is needed.",
    BEYOND_OWNER = "beyond-owner": "A campaign uses an account or a folder that is not its owner's.",
    BROKEN_QUOTES = "broken-quotes": "So many rows of a CSV file have quotes that are not closed that none of it is used.",
    CAMPAIGNS_UNREADABLE = "campaigns-unreadable": "The folder of the campaigns is missing or cannot be listed whole.",
    CHANGED_MEANWHILE = "changed-meanwhile": "A named file changed between being checked and being used.",
    CLAMPED = "clamped": "A default or an environment variable exceeds a limit; the limit holds.",
    CONSENT_MISMATCH = "consent-mismatch": "The basis does not admit this source (CONTRACT section 2, 'Consent').",
    DISCLOSURE_EMPTY = "disclosure-empty": "`ai_role.disclosure` is empty.",
    DUPLICATE_CAMPAIGN = "duplicate-campaign": "Two files have campaigns of one name.",
    DUPLICATE_ITEM = "duplicate-item": "The same thing stands twice in a list.",
    DUPLICATE_TEMPLATE = "duplicate-template": "Two templates of one list have the same name.",
    DUPLICATE_TEST = "duplicate-test": "Two tests have the same name.",
    EMPTY_FILE = "empty-file": "A file holds no value.",
    EMPTY_TEXT = "empty-text": "A text that is sent is empty.",
    ENVIRONMENT = "environment": "An environment variable that sets a default cannot be read; it is ignored.",
    INTERNAL = "internal": "A bug of Tidings: its own schema cannot be used.",
    INVALID_ENCODING = "invalid-encoding": "A file's bytes are no text in an encoding that is read.",
    INVALID_NAME = "invalid-name": "A name has characters or a length that names may not have.",
    INVITE_LINK = "invite-link": "`invite_link` is used where there is none, or left out where it is the point.",
    LEAVES_WORKSPACE = "leaves-workspace": "A path leads out of the workspace.",
    LIMIT_EXCEEDED = "limit-exceeded": "A spec's own value exceeds a limit of tidings.yaml or of its owner's plan.",
    MISSING_FILE = "missing-file": "A named file does not exist.",
    MISSING_KEY = "missing-key": "A key that is required is not there.",
    NAME_MISMATCH = "name-mismatch": "`name` differs from the file's name.",
    NOT_A_COLLECT = "not-a-collect": "An `audience` names a campaign that collects nothing.",
    NOT_A_PERSON = "not-a-person": "What should name a person names a group or channel.",
    NOT_A_PLACE = "not-a-place": "What should name a group or channel names a person.",
    NOT_A_FILE = "not-a-file": "A named path is a folder, socket, device or pipe.",
    NOT_FOR_KIND = "not-for-kind": "A key that means nothing to this kind of campaign.",
    NO_EFFECT = "no-effect": "A setting that changes nothing as things stand.",
    NO_MATCHING_ACCOUNT = "no-matching-account": "No account of tidings.yaml has these labels.",
    NO_SESSION = "no-session": "There is no session file for an account.",
    NOTIFY_TARGET = "notify-target": "A notification has no way to go, or two.",
    OPT_OUT_MISSING = "opt-out-missing": "On the basis `attested` the first message must say how to opt out.",
    OUT_OF_RANGE = "out-of-range": "A number or duration is smaller or larger than what makes sense.",
    OWNER_REQUIRED = "owner-required": "tidings.yaml has owners, and the spec names none.",
    PARTLY_CHECKED = "partly-checked": "A CSV or TXT file is so long that its later rows are looked at only when they are read to be written to.",
    PRIVATE_FILE = "private-file": "A path names the engine's own file, or a hidden one.",
    PUBLIC_WITHOUT_TOKEN = "public-without-token": "The page would listen where others reach it, without a token.",
    RENAMED_FROM = "renamed-from": "`renamed_from` names the campaign itself, or one that still exists or was claimed twice.",
    SHORT_TOKEN = "short-token": "Others can reach the page, and its token is short enough to be guessed.",
    SINGLE_RUN = "single-run": "A cap of a run, and there is one run only: who is left after it gets nothing.",
    START_AFTER_END = "start-after-end": "The schedule ends before it starts.",
    TEMPLATE_ERROR = "template-error": "A template fails for everybody.",
    TEXT_OR_FILE = "text-or-file": "Neither or both of a text and a file are given.",
    TIMEZONE_REQUIRED = "timezone-required": "A wall-clock time, window or cron stands in a schedule without a time zone.",
    TOO_LARGE = "too-large": "A named file is larger than what is accepted.",
    TOO_LONG = "too-long": "A text is longer than Telegram takes, whoever gets it.",
    TOO_MANY = "too-many": "More of something than is accepted.",
    UNKNOWN_KEY = "unknown-key": "A key that may not stand there.",
    UNKNOWN_CAMPAIGN = "unknown-campaign": "A campaign is named that no file holds.",
    UNKNOWN_ACCOUNT = "unknown-account": "An account is named that neither tidings.yaml nor the sessions know.",
    UNKNOWN_OWNER = "unknown-owner": "tidings.yaml has no owner of that name.",
    UNKNOWN_PLAN = "unknown-plan": "tidings.yaml has no plan of that name.",
    UNKNOWN_VARIANT = "unknown-variant": "A test names a template that the spec does not have.",
    UNREADABLE = "unreadable": "A named file cannot be read.",
    WEIGHT_ZERO = "weight-zero": "Every template's weight must be above 0.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_kebab_case_and_has_a_meaning_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, meaning) in ALL {
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{code}"
            );
            assert!(meaning.ends_with('.'), "{code}: {meaning}");
            assert!(seen.insert(code), "{code} stands twice");
            assert!(seen.insert(meaning), "{code}: the meaning stands twice");
        }
    }
}
