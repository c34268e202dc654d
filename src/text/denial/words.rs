//! The words by which people speak of machines and of themselves. They stand in one text, parted by
//! spaces; one that ends with `*` is a beginning.

/// Whether a word is one of these.
pub(super) fn is(word: &str, of: &str) -> bool {
    of.split(' ').any(|entry| match entry.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == entry,
    })
}

/// What answers by itself, by names that hardly mean anything else in a conversation.
pub(super) const ROBOTS: &str = "\
    bot bots chatbot* robot robots robotic android ai gpt* chatgpt* llm llms machine machines automated \
    automation automaton artificial synthetic autoresponder autoreply virtual бот бота боту ботом боте боты \
    ботов ботам ботами боти ботів чатбот* робот* ии ші нейросет* нейронк* нейромереж* искусственн* штучн* \
    автоматическ* автоматизирован* автоответчик* автомат автоматом виртуальн* roboter robotern maschine \
    maschinen maschinell* ki künstlich* automat automatisch* automatisiert* sprachmodell* virtuell* máquina \
    máquinas maquina ia robô robôs artificiel* artificiale macchina macchine automate botem botami robotem \
    maszyną maszyna sztuczn*";

/// What answers by itself, by names of other things too.
pub(super) const PROGRAMS: &str = "\
    automatic машина машины машиной машин машини машиною program programs programme software computer computers \
    algorithm* script scripts программа программы программой программу програма програми програмою \
    компьютер* комп'ютер* алгоритм* скрипт* programm computern algorithmus programa ordinateur logiciel \
    ordenador computadora";

/// A model of these is a machine too.
pub(super) const LANGUAGE: &str = "language языков* мовн* linguagem lenguaje";

/// What answers: an answer that calls itself so says nothing of being a human.
pub(super) const ASSISTANTS: &str = "\
    assistant assistants assistent assistentin ассистент* помощник* помощница помощницей помічник* асистент* \
    asistente assistente asystent* asystentk*";

/// A human and nothing else.
pub(super) const HUMANS: &str = "\
    human humans mensch menschen menschlich menschliche menschlicher menschliches людина людиною humano \
    humana humain humaine umano umana człowiek człowiekiem";

/// The same where nothing else is said.
pub(super) const HUMAN_ALONE: &str = "человек человеком";

/// People, and what else is called so.
pub(super) const PEOPLE: &str = "\
    mother father mom dad мама папа мать отец mutter vater person persons people man men woman women guy girl boy lady gentleman dude employee employees operator \
    operators человек человеком люди людьми девушка девушкой женщина женщиной мужчина мужчиной парень парнем \
    сотрудник сотрудником сотрудница сотрудницей оператор оператором дівчина дівчиною жінка жінкою чоловік \
    чоловіком хлопець personen mann frau leute mädchen dame mitarbeiter mitarbeiterin angestellter \
    angestellte persona personas pessoa pessoas personne hombre mujer homem mulher homme femme uomo donna \
    osoba osobą kobieta kobietą mężczyzna mężczyzną";

/// What makes of people such as are none of a program.
pub(super) const REAL: &str = "\
    real live living alive actual genuine breathing живой живая живые живым живою живых живыми живий жива \
    живі настоящ* реальн* справжн* echt echte echter echten echtes reale* reales réel* lebendig* leibhaftig* \
    verdadeir* vrai vraie prawdziw* żyw*";

/// The same after the word.
pub(super) const REAL_AFTER: &str = "real reales reale verdad vera vero réelle réel";
/// Of them those that alone say that one is no program.
pub(super) const REAL_ALONE: &str = "\
    real alive живой живая живые живий жива настоящий настоящая настоящие реальный реальная справжня \
    справжній echt lebendig réel réelle";

/// Flesh, before blood.
pub(super) const FLESH: &str = "flesh fleisch плоти плоть carne chair";
pub(super) const BLOOD: &str = "blood blut крови кровь крові sangre sang sangue";

/// What is called human without being one.
pub(super) const HUMAN_THINGS: &str = "\
    resource* rights error* body capital relations nature factor* history health anatomy race hair readable \
    centered language brain biology rechte";

/// Words that deny what follows.
pub(super) const NOTS: &str = "\
    not no nope nah never neither nor hardly не нет ни никак* никогда нету неа ні немає жодн* ніяк* nicht \
    kein keine keiner keinem keinen keines nein nie niemals keineswegs nö weder non pas aucun aucune jamais \
    nunca ningún ninguna não nenhum nessun nessuna żadn*";

/// Nobody.
pub(super) const NOBODY: &str = "\
    nothing nichts ничего nobody none niemand keiner keine keines никто ніхто nadie personne nessuno ninguém \
    nikt";

/// Words after which the contrary is said.
pub(super) const BUTS: &str = "but sondern aber а но але mais pero sino ma ale";
/// Words that go on.
pub(super) const ANDS: &str = "and or und oder и или і та й y et e i oraz";

/// By which somebody speaks of himself, with a form of 'to be'.
pub(super) const SELVES: &str = "i we ich wir yo nosotros je nous io noi eu nós";
/// The same where the language has none.
pub(super) const SELVES_ALONE: &str = "я мы ми";
/// Forms of 'to be' that say who is meant.
pub(super) const SELF_BE: &str = "\
    bin soy somos suis sommes sono siamo sou jestem jesteśmy являюсь являемся";
/// As objects.
pub(super) const ME: &str = "me myself us ourselves mich mir uns меня мной нас себя мене себе";
/// Whom one speaks to.
pub(super) const YOU: &str = "\
    you ya u вы вас вам вами ты тебя тебе тобой ви ти тобою sie ihnen du dir dich ihr euch usted ustedes tú \
    te vous tu você voi lei ty";
/// Of them those of languages that need no form of 'to be'.
pub(super) const YOU_ALONE: &str = "вы ты ви ти";
/// What is here.
pub(super) const THIS: &str = "\
    this that it these those here there das dies es hier ce cela ici esto este aquí questo isto aqui tutaj";
/// The same in languages that need no form of 'to be'.
pub(super) const THIS_ALONE: &str = "это тут здесь там це ось";
/// Where a conversation takes place.
pub(super) const PLACES: &str = "\
    here behind screen keyboard involved тут здесь связи звязку экраном екраном клавиатурой hier dahinter \
    bildschirm tastatur aquí aqui ici tutaj";
/// The same after a word that means this one.
pub(super) const SIDES: &str = "\
    конце кінці side end line chat conversation leitung seite ende чате стороне сторону чаті";
pub(super) const THESE: &str = "\
    dieser diese dieses diesen это этот эта цей my our all this other diesem anderen этом этой ту другой том \
    цьому";

/// What a conversation consists of.
pub(super) const DIALOG: &str = "\
    support поддержк* chat account message messages reply replies answer answers conversation profile сообщени* ответ ответы \
    чат чате аккаунт* переписк* профил* повідомлен* nachricht nachrichten antwort antworten konto \
    unterhaltung profil";
/// What talks by itself, in one's own employ.
pub(super) const BOTS: &str = "\
    bot bots chatbot* ai gpt* бот* чатбот* ии нейросет* ki боти ботів robots";
pub(super) const USES: &str =
    "gibt use have employ нет используем держим nutzen haben verwenden немає";

/// Forms of 'to be'.
pub(super) const BES: &str = "\
    am are is was were be been being bin sind ist war waren bist seid являюсь являемся был была были є es \
    est è é jest eres êtes jesteś jesteście sei soy somos suis sommes sono siamo sou jestem jesteśmy";

/// Talking, as something that goes on.
pub(super) const TALKING: &str = "\
    talking speaking chatting texting writing messaging dealing communicating corresponding conversing \
    typing answering replying responding reached";
/// Being spoken with.
pub(super) const IN_TOUCH: &str = "contact touch connected reached got";
/// The same in languages that have no form of its own for it.
pub(super) const TALKS: &str = "\
    читает читає liest tun общается говорит разговаривает пишет переписывается отвечает беседует говорите \
    общаетесь разговариваете пишете переписываетесь беседуете говоришь общаешься разговариваешь пишешь \
    переписываешься говорю общаюсь разговариваю пишу переписываюсь спілкується спілкуєтесь спілкуєтеся \
    розмовляєте розмовляєш пише відповідає спілкуюсь розмовляю sprichst sprechen sprecht spricht spreche \
    redest reden redet rede chattest chatten chatte schreibst schreiben schreibt schreibe antwortet \
    unterhalten unterhältst kommunizier* hablando hablas habla chateando hablo falando fala parlez parles \
    parle échangez discutez parlando parli rozmawiasz rozmawiam piszesz piszę";
/// Making a text.
pub(super) const WRITTEN: &str = "\
    written typed answered composed geschrieben verfasst beantwortet написан* написано écrit escrito scritto \
    napisane";

/// Talk of what may be, or is to come.
pub(super) const MAYBE: &str = "\
    if when would will can could may might shall should want wish need prefer rather let once soon later \
    tomorrow unless until wenn falls möcht* kann kannst können könn* werden wird wirst wollen soll* bald \
    gleich später morgen sobald lieber demnächst если когда хотите хочешь можете можешь может могут можно \
    будет будете скоро позже потом лучше ли якщо коли хочете можна puede* puedes quiere* peut pouvez voulez \
    peux pode quer può vuole może jeśli";

/// Words that bring in a clause or a thing of its own.
pub(super) const APART: &str = "\
    to for with about that which who whom whose what whether if because since when where how why than sure \
    certain aware familiar able unable allowed glad happy sorry afraid ready can will would could should \
    must may might dass ob wenn wer was wie wo weil für mit zu um über welch* froh bereit kann können könn* \
    werde werden wird möcht* habe haben damit для про о об к у от до без если чтобы что где когда котор* рад \
    рада рады уверен* готов* должн* потому поэтому щоб що якщо як pour avec qui que para por con per che dla \
    że";

/// Small words that change nothing of what is said to be what.
pub(super) const SMALL: &str = "\
    intelligence intelligenz интеллект* інтелект* lol haha hey hi oh well ha hm все всі alle ну хаха ой hehe promise swear honestly a an the any some kind \
    kinds sort of one way in at all by from as ein eine einem einen einer eines der die dem den von vom un \
    une una uno um uma el la il le с со з из just only even also too still sure really actually indeed \
    always very quite most absolutely definitely certainly course simply hundred percent me us involved far \
    so such nur bloß wirklich echt sicher natürlich gar ganz auch doch tatsächlich bestimmt prozent \
    irgendein* etwa selbstverständlich klar просто совсем вовсе отнюдь точно тоже именно правда вообще \
    конечно какой какая то там самый самая на самом деле абсолютно действительно процентов же ведь как такой \
    зовсім звичайно справді vraiment juste realmente davvero naprawdę tylko";

/// Words of assent.
pub(super) const YES: &str = "\
    yes yeah yep yup sure course absolutely definitely correct right indeed exactly да ага конечно именно \
    верно точно так ja jawohl klar natürlich genau stimmt sí si oui sim sì tak certainly";

/// Words by which something is held to be something.
pub(super) const OPINIONS: &str = "\
    think believe say call consider mistake take confuse treat assume suppose imagine думайте думай считайте \
    считай считаю называйте называй зовите принимайте принимай путайте denk* halt* nenn* glaub* verwechsl*";

/// Words that may stand between somebody and his 'to be'.
pub(super) const BETWEEN: &str = "\
    have had do just also still sure too always myself most here auch selbst";

/// `as a …`, and the like.
pub(super) const AS: &str = "as als как як como comme en come jako";
/// First persons, in whatever form.
pub(super) const MINE: &str = "\
    uns нас нам i we me my our us ich wir mir mich mein* я мы мне меня ми мені yo je io eu";

/// Verbs that English says of people who are none of this conversation's.
pub(super) const THEIRS: &str = "\
    will would can could may might should must is are was were has have had does do did wird kann ist sind \
    hat haben meldet soll";
