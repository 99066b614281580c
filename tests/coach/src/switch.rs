//! All members of the zoo: what each switch changes, and what the coach must say about it.
//!
//! A row has the switch, the roles that have it (S server, C client, B both), what the peer then does, the
//! checks that it must fail, and other areas or checks that it may fail. After `~`, a warning is enough,
//! because the RFC binds only the sender; `?` stands for a check of any area. A row without a check to
//! fail is a legal variant. `-` marks a fault for which the coach has no check: it may fail what the last
//! field names, or nothing. `!` stands for a run that can't be done: the coach must end with 2. A member's id is
//! the name of its switch in kebab case.

use std::sync::OnceLock;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

struct Member {
    switch: Switch,
    name: &'static str,
    sides: &'static str,
    says: &'static str,
    fails: &'static str,
    also: &'static str,
}

macro_rules! members {
    ($($switch:ident $sides:ident $says:literal $fails:literal $also:literal;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Switch { $($switch),* }
        const MEMBERS: &[Member] = &[$(Member {
            switch: Switch::$switch,
            name: stringify!($switch),
            sides: stringify!($sides),
            says: $says,
            fails: $fails,
            also: $also,
        }),*];
    };
}

/// The switch of this process.
static CHOSEN: OnceLock<Switch> = OnceLock::new();

/// Whether this peer behaves so.
pub fn has(switch: Switch) -> bool {
    CHOSEN.get() == Some(&switch)
}

/// Chooses the switch with this id.
pub fn set(side: Side, id: &str, fault: bool) -> Result<(), String> {
    let member = MEMBERS
        .iter()
        .find(|member| member.id() == id && member.is(side) && member.fails.is_empty() != fault)
        .ok_or(format!("no such member: {id} (zoo --list has them all)"))?;
    CHOSEN.set(member.switch).map_err(|_| "one switch for a peer".to_string())
}

/// Prints a line for each member and side, in fields between tabs: side, `fault` or `legal`, id, the checks that it must
/// fail, what it may fail besides, what it does.
pub fn list() {
    for (side, name) in [(Side::Server, "server"), (Side::Client, "client")] {
        println!("{name}\tgood\tgood\t-\t-\tkeeps to the RFCs");
        for member in MEMBERS.iter().filter(|member| member.is(side)) {
            let kind = if member.fails.is_empty() { "legal" } else { "fault" };
            let or_none = |words: &'static str| if words.is_empty() { "-" } else { words };
            println!(
                "{name}\t{kind}\t{}\t{}\t{}\t{}",
                member.id(),
                or_none(member.fails),
                or_none(member.also),
                member.says
            );
        }
    }
}

impl Member {
    fn is(&self, side: Side) -> bool {
        self.sides == "B" || self.sides == if side == Side::Server { "S" } else { "C" }
    }

    /// `Length126NotDone` is `length-126-not-done`.
    fn id(&self) -> String {
        let mut id = String::new();
        let mut before = '-';
        for letter in self.name.chars() {
            let begins =
                letter.is_uppercase() || letter.is_ascii_digit() && !before.is_ascii_digit();
            if begins && !id.is_empty() {
                id.push('-');
            }
            id.push(letter.to_ascii_lowercase());
            before = letter;
        }
        id
    }
}

#[rustfmt::skip]
members! {
    // head
    OneReadOneHead B "takes what one read brings for the whole head" "head/byte-by-byte head/cut-in-the-empty-line head/two-pieces head/waits-for-the-end" "head";
    HeadEndsWithARead S "looks for the end of the head at the end of a read" "head/frame-in-same-packet head/frames-in-same-packet" "head";
    FrameBehindHeadLost B "throws away what came in the same packet after the head" "head/frame-in-same-packet head/frame-cut-by-packet" "head";
    FieldNameCase B "compares field names with their case" "head/lower-case-names head/upper-case-names" "head deflate";
    SpaceAfterColonNeeded B "splits fields at a colon and a space" "head/no-space-after-colon" "head";
    OneSpaceStripped S "strips one space after the colon" "head/spaces-around-values" "head accept/key-untrimmed";
    TrailingSpaceKept B "keeps spaces after a value" "head/spaces-around-values accept/spaces-around" "head accept/key-untrimmed";
    TabNotTrimmed S "doesn't know the tab as white space" "head/tabs-around-values" "head accept/key-untrimmed";
    ConnectionWhole B "compares `Connection` whole" "head/keep-alive-upgrade head/connection-without-space head/as-firefox" "head";
    ConnectionValueCase S "compares the token `Upgrade` of `Connection` with its case" "head/connection-any-case" "head";
    UpgradeValueCase B "compares `websocket` with its case" "head/upgrade-any-case" "head";
    ListNeedsSpace S "splits lists at a comma and a space" "head/connection-without-space head/connection-empty-elements" "head policy deflate";
    FirstLineOnly S "looks at the first line with a name only" "head/connection-on-two-lines" "head refuse policy deflate/on-two-lines";
    LastLineOnly S "looks at the last line with a name only" "head/connection-on-two-lines" "head refuse policy deflate/on-two-lines";
    KeyCutWhenLast S "cuts a letter from the key if it is the last field" "head/key-last" "head accept refuse";
    UnknownFieldsRefused B "refuses fields that it doesn't know" "head/unknown-headers head/as-chrome head/long-header head/many-headers" "head policy";
    // accept
    GuidSwapped S "has the GUID of a published kata, with digits swapped" "accept/sample-key accept/own-key accept/another-key" "accept head/plain";
    GuidOfBenchmark S "has the GUID of a published benchmark's docs" "accept/own-key" "accept head/plain";
    GuidTransposed S "lost the last digit of the GUID" "accept/own-key" "accept head/plain";
    GuidInLowerCase S "writes the GUID in lower case" "accept/own-key" "accept head/plain";
    GuidOfAnotherEnd S "has another last digit in the GUID" "accept/own-key" "accept head/plain";
    GuidInBraces S "keeps braces around the GUID" "accept/own-key" "accept head/plain";
    GuidForgotten S "hashes the key alone" "accept/own-key" "accept head/plain";
    GuidFirst S "puts the GUID before the key" "accept/own-key" "accept head/plain";
    AcceptFixed S "answers every key with the accept of the RFC's example" "accept/own-key accept/another-key accept/key-letter-case" "accept head/plain";
    AcceptOfDecodedKey S "decodes the key before it hashes" "accept/own-key" "accept head/plain";
    AcceptOfLineFeed S "hashes a line feed after the key" "accept/own-key" "accept head/plain";
    AcceptOfUnpaddedKey S "hashes the key without its padding" "accept/own-key" "accept head/plain";
    AcceptHex S "answers with the digest in hex" "accept/own-key" "accept head/plain";
    AcceptHexInBase64 S "encodes the hex of the digest" "accept/own-key" "accept head/plain";
    AcceptWithLineFeed S "keeps the line feed of its base64 encoder" "accept/line-ends" "accept head";
    AcceptInUrlAlphabet S "writes base64 in the alphabet of URLs" "accept/key-with-signs" "accept";
    AcceptUnpadded S "writes base64 without padding" "accept/own-key" "accept head/plain";
    AcceptInLowerCase S "writes the accept in lower case" "accept/own-key" "accept head/plain";
    AcceptIsKey S "sends the key back" "accept/own-key" "accept head/plain";
    AcceptQuoted S "quotes the accept" "accept/own-key" "accept head/plain";
    KeyUntrimmed S "hashes the spaces around the key too" "accept/key-untrimmed" "accept head/spaces-around-values head/no-space-after-colon";
    AnswerIs200 S "answers 200" "accept/status" "head accept";
    AnswerIsHttp10 S "answers in HTTP/1.0" "accept/version" "head accept";
    AnswerUpgradeMissing S "answers without `Upgrade`" "accept/upgrade" "head accept";
    AnswerUpgradeWrong S "upgrades to h2c" "accept/upgrade" "head accept";
    AnswerUpgradeListed S "upgrades to `h2c, websocket`" "accept/upgrade" "";
    AnswerUpgradeTwice S "has two lines `Upgrade`" "accept/upgrade" "";
    AnswerConnectionMissing S "answers without `Connection`" "accept/connection" "head accept";
    AnswerConnectionWrong S "answers `Connection: keep-alive`" "accept/connection" "head accept";
    AnswerAcceptMissing S "answers without the accept" "accept/own-key" "head accept";
    AnswerAcceptTwice S "sends the accept twice" "accept/present-once" "accept";
    AnswerInBareLineFeeds S "ends lines with a line feed alone" "accept/line-ends" "head accept refuse";
    AnswerNeverEnds S "leaves out the empty line after its fields" "head/plain head/several-at-once head/any-order" "accept";
    AnswerEndsUnfinished S "leaves out the empty line after its fields, and ends the connection" "head/plain accept/line-ends" "head accept";
    AnswerIndented S "begins the accept's line with spaces" "accept/present-once" "accept";
    SpaceBeforeColonWritten B "writes a space before the colon of its fields" "accept/present-once accept/upgrade head/request-line" "accept head";
    AnswerHasLineWithoutColon S "has a line without a colon in its 101" "accept/present-once" "accept";
    BytesAfter101 S "writes a line of text after the head" "accept/nothing-behind" "";
    NewlineAfter101 S "writes an empty line too many" "accept/nothing-behind" "";
    UnaskedSubprotocol S "chooses a subprotocol though none was offered" "accept/no-unasked-subprotocol" "accept policy";
    UnofferedExtension S "answers with an extension that was not offered" "accept/no-unasked-extension" "accept deflate";
    DeflateUnasked S "answers with permessage-deflate unasked" "accept/no-unasked-extension deflate/unknown-extension" "accept deflate";
    // refuse
    RefusalIsSilence S "says nothing to a bad request" "refuse/no-key" "refuse policy/two-hosts";
    RefusalHangsUp S "hangs up on a bad request" "refuse/no-key refuse/line-without-colon" "refuse policy/origin-foreign policy/two-hosts";
    RefusalIs200 S "refuses with 200" "refuse/no-key" "refuse policy/two-hosts";
    RefusalIs101 S "refuses with 101" "refuse/no-key refuse/not-http" "refuse policy/two-hosts";
    RefusalIsNoHttp S "refuses with a line that isn't HTTP" "refuse/no-key" "refuse policy/two-hosts";
    RefusalWithoutVersion S "doesn't say which version it speaks" "refuse/version-in-answer" "refuse";
    Http10Accepted S "accepts HTTP/1.0" "refuse/http-1-0" "";
    AnyMethodAccepted S "accepts POST" "refuse/post" "";
    NoHostAccepted S "accepts a request without `Host`" "refuse/no-host" "";
    TwoHostsAccepted S "accepts two `Host` fields" "policy/two-hosts" "policy";
    UpgradeUnchecked S "doesn't look at `Upgrade`" "refuse/no-upgrade refuse/other-upgrade refuse/upgrade-substring" "refuse";
    UpgradeWhole S "compares `Upgrade` whole" "head/upgrade-list" "head";
    ConnectionUnchecked S "doesn't look at `Connection`" "refuse/no-connection" "refuse";
    ConnectionContains S "looks for `upgrade` anywhere in `Connection`" "refuse/connection-substring" "refuse";
    NoKeyAccepted S "accepts a request without a key" "refuse/no-key" "refuse";
    TwoKeysAccepted S "takes the first of two keys" "refuse/two-keys" "refuse";
    KeyUnchecked S "accepts a key of any length" "refuse/short-key refuse/long-key refuse/empty-key" "refuse";
    KeyNotBase64Accepted S "accepts a key that isn't base64" "refuse/key-not-base64" "refuse";
    TwoVersionsAccepted S "takes the first of two versions" "refuse/two-versions" "";
    OtherVersionAccepted S "accepts every version" "refuse/old-version refuse/new-version" "refuse";
    NoVersionAccepted S "accepts a request without a version" "refuse/no-version" "refuse";
    // frame
    ServerMasks S "masks what it sends" "frame/unmasked" "";
    TextEchoedAsBinary B "sends text back as binary" "frame/kind-text" "";
    BinaryEchoedAsText B "sends binary back as text" "frame/kind-binary" "";
    FirstKindKept B "sends all messages back in the kind of the connection's first one" "frame/kind-binary" "";
    RsvOneUnasked B "sets RSV1 without compression" "frame/no-reserved-bits" "";
    BinaryMasked S "masks binary messages" "frame/unmasked" "";
    BinaryNotMasked C "doesn't mask binary messages" "frame/masked" "";
    RsvTwoSet B "sets RSV2" "frame/no-reserved-bits" "";
    RsvThreeSet B "sets RSV3" "frame/no-reserved-bits" "";
    NeverFinal B "never sets FIN" "frame/complete" "head accept";
    MaskOfFirstFrame S "takes the first frame's mask for all" "frame/another-mask" "";
    ZeroMaskTakenForNone S "takes a mask of zeros for no mask" "frame/zero-mask" "";
    FfMaskTakenForNone S "has the key of ones as its sign for no key" "frame/ff-mask" "";
    ZeroMaskRefused S "refuses a mask of zeros" "frame/zero-mask" "";
    NeverUnmasked S "doesn't unmask" "frame/text" "";
    MaskOfFourBytesOnly S "unmasks four bytes only" "frame/mask-continues" "";
    NulAppended B "appends a NUL" "frame/text" "head accept";
    Utf8Lossy B "loses all that isn't ASCII" "utf8/two-bytes utf8/three-bytes frame/binary-all-bytes" "utf8 fragments frame";
    StopsAtNul B "takes a message as a C string" "frame/binary-all-bytes" "";
    LineEndsTrimmed B "trims text" "frame/spaces-kept" "deflate";
    ClosesAfterOneMessage B "closes after one message" "frame/ten-in-turn" "";
    SecondMessageUnanswered B "answers one message only" "frame/ten-in-turn" "";
    NothingMasked C "doesn't mask" "frame/masked" "";
    LongNotMasked C "masks frames of up to 125 bytes only" "frame/masked" "";
    EmptyNotMasked C "doesn't mask empty frames" "frame/masked" "";
    ControlNotMasked C "doesn't mask control frames" "ping/pong-frame" "ping close";
    MaskNotApplied C "sends a key and doesn't mask with it" "frame/text" "head accept";
    MaskFixed C "has one key for all frames" "frame/fresh-masks" "frame";
    MaskZero C "masks with zeros" "frame/fresh-masks" "frame";
    MaskOfConnection C "draws one key for a connection" "frame/fresh-masks" "frame";
    MaskOfOneByte C "draws one byte for a key" "frame/masks-random" "";
    // lengths
    Length126NotDone B "takes 126 for the length" "lengths/binary-126" "";
    Length127NotDone B "takes 127 for the length" "lengths/binary-65536" "";
    Length16LittleEndian B "reads 16 bits from the wrong end" "lengths/binary-126 lengths/binary-127 lengths/binary-128 lengths/binary-255 lengths/text-126 lengths/text-127" "";
    Length16IsOneByte B "reads one byte of the 16 bits" "lengths/binary-256" "rules/length-16-for-ping";
    Length16Signed B "takes 16 bits as signed" "lengths/binary-32768 lengths/binary-65535 lengths/text-65535" "stream deflate rules";
    Length64Is32Bits B "reads 32 of the 64 bits" "lengths/binary-65536 lengths/binary-1MiB lengths/text-1MiB lengths/text-65536" "";
    Length64LittleEndian B "reads 64 bits from the wrong end" "lengths/binary-65536" "";
    EmptyMessageUnanswered B "ignores empty messages" "lengths/text-0 lengths/binary-0" "fragments/all-empty deflate/empty";
    Writes125In16Bits B "writes 125 in 16 bits" "lengths/fewest-bytes-125" "lengths";
    Writes65535In64Bits B "writes 65,535 in 64 bits" "lengths/fewest-bytes-65535" "lengths";
    WritesAllIn16Bits B "writes short lengths in 16 bits" "lengths/fewest-bytes-125" "";
    WritesAllIn64Bits B "writes all lengths in 64 bits" "lengths/fewest-bytes-125 lengths/fewest-bytes-65535 lengths/fewest-bytes-126" "";
    // stream
    OneReadOneFrame B "takes one read for one frame" "stream/byte-by-byte stream/ten-in-one-write" "";
    SecondFrameDropped B "drops the second frame of a read" "stream/two-in-one-write stream/ten-in-one-write stream/hundred-in-one-write stream/kinds-in-one-write stream/large-then-small stream/order" "";
    HalfHeaderForgotten B "forgets half a header" "stream/cut-after-first-byte stream/cut-everywhere stream/cut-in-length stream/cut-in-mask" "";
    PayloadReadOnce B "reads a payload once, whatever came" "stream/large-in-pieces stream/cut-in-payload stream/frame-and-a-half" "ping";
    MaskRestartsWithEachRead S "starts the mask again with each read" "stream/cut-in-payload stream/frame-and-a-half" "";
    // ping
    NoPong B "doesn't answer pings" "ping/answered ping/payload" "";
    EmptyPingUnanswered B "doesn't answer empty pings" "ping/empty" "";
    PongEmpty B "answers without the payload" "ping/payload ping/between-messages ping/in-one-write ping/in-pieces ping/many ping/payload-binary ping/pong-frame" "";
    PongCutAt124 B "cuts the pong at 124 bytes" "ping/payload-125" "ping";
    PongCutAt16 B "cuts the pong at 16 bytes" "ping/payload-125" "";
    PongForPong B "answers pongs" "ping/unasked-pong~" "";
    PongEchoed B "echoes pongs as messages" "ping/unasked-pong" "";
    UnaskedPongRefused B "fails on a pong that it didn't ask for" "ping/unasked-pong ping/unasked-empty-pong" "";
    PongTwice B "answers each ping twice" "ping/once" "";
    PingEchoedAsText B "echoes pings as messages" "ping/not-echoed" "";
    PingAnsweredWithPing B "answers a ping with a ping" "ping/answered" "";
    WritersMixed B "writes pongs from another thread than messages, and in the middle of them" "ping/beside-large" "stream";
    ControlOf125Refused B "refuses control frames of 125 bytes" "ping/payload-125" "close/reason-123";
    // close
    CloseIgnored B "ignores Close" "close/answered close/bad-code-2999 close/bad-code-5000" "";
    CloseHangsUp B "hangs up on Close" "close/answered close/code-1012 close/code-1013 close/code-1014 close/in-pieces close/inside-message close/reason close/reason-123" "";
    CloseAnsweredWith1005 B "sends 1005 where no code came" "close/empty" "close";
    CloseAnsweredWith1006 B "answers Close with 1006" "close/answer-frame" "close";
    CloseCodeSwapped B "writes the code from the wrong end" "close/answer-frame" "close";
    CloseAnsweredWithOneByte B "answers with a body of one byte" "close/answer-frame close/same-code" "close";
    CloseReasonCut B "cuts the reason inside a character" "close/reason close/reason-123" "";
    CloseReasonTooLong B "answers with more than 125 bytes" "close/answer-frame" "close";
    CloseFragmented B "sends Close without FIN" "close/answer-frame" "close";
    CloseMasked S "masks its Close" "close/answer-frame" "";
    CloseNotMasked C "doesn't mask its Close" "close/answer-frame" "";
    CloseTwice B "answers Close twice" "close/once" "close";
    MessageAfterClose B "sends a message after its Close" "close/nothing-after" "close";
    EchoesAfterClose B "goes on echoing after its Close" "close/data-after" "close";
    TcpLeftOpen S "leaves the stream open after Close" "close/then-ends" "";
    CloseOfOneByteAccepted B "accepts a body of one byte" "close/one-byte~" "";
    CloseBelow1000Accepted B "accepts codes below 1000" "close/bad-code-0 close/bad-code-999" "";
    CloseReservedAccepted B "accepts 1004, 1005, 1006 and 1015" "close/bad-code-1005 close/bad-code-1006 close/bad-code-1015 close/bad-code-1004" "close";
    CloseAbove4999Accepted B "accepts codes above 4999" "close/bad-code-5000" "close";
    CloseOnly1000Accepted B "accepts 1000 alone of the RFC's codes" "close/code-1001 close/code-1003 close/code-1007 close/code-1008 close/code-1009 close/code-1010 close/code-1011" "close";
    CloseRegisteredRefused B "refuses 1012 to 1014" "close/code-1012 close/code-1013 close/code-1014" "close";
    ClosePrivateRefused B "refuses 3000 to 4999" "close/code-3000 close/code-4999" "close";
    CloseReasonUnchecked B "doesn't look at the reason's UTF-8" "close/reason-not-utf8~" "";
    TalksOnInstead B "ignores unknown frames and Close, and sends messages of its own all the time" "close/answered rules/opcode-3 rules/opcode-f" "lengths close rules";
    // fragments
    FirstFragmentIsAll B "takes the first fragment for the message" "fragments/two" "";
    LastFragmentOnly B "keeps the last fragment only" "fragments/two" "";
    EachFragmentIsAMessage B "echoes each fragment" "fragments/two fragments/binary fragments/in-one-write fragments/in-pieces fragments/of-126 fragments/pong-between fragments/then-another" "";
    EmptyLastFragmentLost B "loses an empty last fragment" "fragments/empty-last fragments/all-empty" "fragments deflate";
    EmptyFragmentEnds B "takes an empty fragment for the end" "fragments/empty-middle fragments/empty-first" "fragments lengths deflate";
    EmptyFragmentsRefused B "refuses empty fragments" "fragments/empty-middle" "fragments deflate";
    SixteenFragmentsAtMost B "takes sixteen fragments at most" "fragments/hundred" "fragments deflate utf8";
    FragmentedEchoedAsBinary B "forgets the kind of a fragmented message" "fragments/two fragments/of-one-byte fragments/three" "fragments utf8 deflate";
    CharactersCutRefused B "checks each fragment's UTF-8 alone" "fragments/cut-in-character" "fragments utf8";
    PingEndsMessage B "drops the message at a ping" "fragments/ping-between" "fragments deflate";
    PingAppendedToMessage B "appends a ping to the message" "fragments/ping-between" "fragments deflate";
    PingReplacesKind B "takes a ping's opcode for that of the message around it" "fragments/ping-between" "fragments deflate";
    PingInMessageRefused B "refuses a ping inside a message" "fragments/ping-between" "fragments deflate";
    PongAfterMessage B "answers a ping only after the message" "fragments/pong-at-once" "";
    StrayContinuationEchoed B "takes a stray continuation for a text" "fragments/nothing-to-continue" "fragments rules";
    StrayContinuationIgnored B "ignores a stray continuation" "fragments/nothing-to-continue fragments/nothing-left-to-continue" "fragments rules";
    MessageInMessageAppended B "appends a message inside a message" "fragments/message-inside fragments/binary-inside" "fragments";
    MessageInMessageReplaces B "drops a message when another begins" "fragments/message-inside fragments/binary-inside" "fragments";
    // utf8
    Utf8NotChecked B "doesn't check text" "utf8/lone-continuation utf8/no-such-byte utf8/overlong-2 utf8/surrogate utf8/missing-continuation" "utf8 deflate/not-utf8";
    Utf8SurrogatesAccepted B "accepts surrogates" "utf8/surrogate" "utf8";
    Utf8OverlongAccepted B "accepts overlong forms" "utf8/overlong-2 utf8/overlong-3 utf8/overlong-4" "utf8";
    Utf8BeyondLastAccepted B "accepts what is above U+10FFFF" "utf8/beyond-the-last" "utf8";
    Utf8LongestFormAccepted B "accepts characters that begin with F5 to F7" "utf8/beyond-the-last" "";
    Utf8C1Accepted B "looks for overlong forms of two bytes at C0 alone" "utf8/overlong-2" "";
    Utf8OnlyFirstContinuationChecked B "checks the byte after the first of a character, and no further one" "utf8/missing-continuation" "";
    Utf8ClosedWith1005 B "answers bad text with 1005" "utf8/lone-continuation utf8/code-1007~" "utf8 deflate";
    Utf8CutAtEndAccepted B "accepts a text that ends inside a character" "utf8/cut-at-the-end utf8/cut-in-last-fragment" "utf8";
    Utf8StrayContinuationAccepted B "accepts a continuation byte alone" "utf8/lone-continuation" "utf8 deflate/not-utf8";
    Utf8ImpossibleBytesAccepted B "accepts FE and FF" "utf8/no-such-byte utf8/at-the-end-of-long utf8/code-1007 utf8/in-second-fragment" "utf8 deflate/not-utf8";
    Utf8FourBytesRefused B "refuses characters of four bytes" "utf8/four-bytes utf8/edges utf8/noncharacters" "";
    Utf8NulRefused B "refuses U+0000" "utf8/nul" "utf8";
    // rules
    UnmaskedAccepted S "accepts unmasked frames" "rules/unmasked rules/unmasked-empty rules/unmasked-ping rules/unmasked-pong rules/unmasked-later" "rules";
    UnmaskedPongAccepted S "drops pongs before it looks at their mask" "rules/unmasked-pong" "";
    MaskedAccepted C "accepts masked frames" "rules/masked" "rules";
    RsvOneAccepted B "accepts RSV1 without compression" "rules/rsv1" "rules deflate";
    RsvTwoAccepted B "accepts RSV2" "rules/rsv2 rules/rsv-on-ping rules/rsv-on-pong" "rules";
    RsvOnPongAccepted B "drops pongs before it looks at their reserved bits" "rules/rsv-on-pong" "";
    RsvThreeAccepted B "accepts RSV3" "rules/rsv3 rules/rsv-on-continuation" "rules";
    UnknownDataIgnored B "ignores unknown data frames" "rules/opcode-3 rules/opcode-4 rules/opcode-5 rules/opcode-6 rules/opcode-7 rules/close-code" "rules";
    UnknownControlIgnored B "ignores unknown control frames" "rules/opcode-b rules/opcode-c rules/opcode-d rules/opcode-e rules/opcode-f" "rules";
    LongControlAccepted B "accepts long control frames" "rules/ping-too-long rules/pong-too-long rules/close-too-long~" "rules";
    FragmentedControlAccepted B "accepts fragmented control frames" "rules/ping-fragmented rules/close-fragmented~" "rules";
    WastefulLengthAccepted B "accepts lengths that aren't minimal" "rules/length-16-for-125 rules/length-16-for-0 rules/length-16-for-ping rules/length-64-for-125 rules/length-64-for-65535" "rules";
    WastefulPingAccepted B "accepts a ping whose length isn't minimal" "rules/length-16-for-ping" "";
    TopBitAccepted B "ignores the top bit of a length" "rules/length-top-bit" "rules";
    Length64LowHalf B "reads the low half of 64 bits" "rules/length-top-bit" "";
    // many
    OneClientAtATime S "serves one client at a time" "many/two-at-once" "many head/several-at-once";
    HeadsReadWhileAccepting S "reads heads in its accept loop" "many/silent-in-mid-head many/silent-before-head" "many head/several-at-once";
    OneSlowReaderBlocksAll S "holds a lock while it writes" "many/never-reads" "many";
    EchoesToAll S "sends each echo to all clients" "many/own-messages" "lengths rules";
    EchoesToNewest S "sends each echo to the newest client" "many/two-at-once" "";
    DiesOfFirstFrame S "dies when the first frame comes" "!" "";
    ListensBetweenClients S "closes its listener while it serves a client" "many/two-at-once" "many head/several-at-once";
    DiesAfterFiftyConnections S "dies after fifty connections" "?" "*";
    DiesOfHalfHeads S "dies when a client leaves inside its head" "?" "*";
    OldestEvicted S "gives the place of the eighth connection before to each new one" "many/idle many/crowd" "";
    EchoesWithoutBound S "keeps what a client doesn't read in a queue without a bound" "many/bounded-queue" "";
    RoomForEight S "has room for eight" "many/crowd" "many";
    RoomNeverReleased S "has sixty places and gives none back" "many/room-again many/gone-without-close" "*";
    // policy
    UnofferedSubprotocol S "chooses a subprotocol that was not offered" "policy/subprotocol-one policy/subprotocol-unknown" "policy accept";
    AllSubprotocolsEchoed S "echoes the list of subprotocols" "policy/subprotocol-several policy/subprotocol-two-lines" "policy";
    SubprotocolInUpperCase S "changes the case of the subprotocol" "policy/subprotocol-one" "policy";
    SubprotocolTwice S "answers with two subprotocols" "policy/subprotocol-several" "policy";
    SubprotocolEmpty S "answers with an empty subprotocol" "policy/subprotocol-one" "policy accept";
    // deflate
    DeflateEchoedNotSpoken S "agrees to compression and can't" "deflate/hello deflate/stored-block deflate/two-blocks deflate/final-block deflate/tail-cut" "deflate";
    DeflateOffersEchoed S "echoes the offers as its answer" "deflate/one-answer" "deflate";
    DeflateAnswersUnknownParameter S "answers with an unknown parameter" "deflate/answer deflate/client-window" "deflate";
    DeflateAnswersClientBitsUnasked S "answers client_max_window_bits unasked" "deflate/no-client-window-unasked deflate/fallback" "deflate";
    DeflateAnsweredTwice S "answers twice" "deflate/one-answer deflate/offer deflate/on-two-lines" "deflate";
    DeflateAnsweredEmpty S "answers an offer with an empty list" "deflate/offer" "deflate";
    DeflateWindow8Raised S "answers 9 window bits to 8, as its compressor can't do 8" "deflate/server-window-8" "";
    DeflateOfferedBitsIgnored S "doesn't answer server_max_window_bits" "deflate/server-window" "deflate";
    DeflateAnswersMoreBits S "answers more bits than were asked for" "deflate/server-window" "deflate";
    DeflateAnswersMoreClientBits S "answers more client bits than were offered" "deflate/client-window-value" "deflate";
    DeflateNoTakeoverUnanswered S "doesn't answer server_no_context_takeover" "deflate/server-no-takeover" "deflate";
    DeflateRepeatedAccepted B "accepts repeated parameters" "deflate/declines-repeated deflate/answer-repeated" "deflate";
    DeflateValueAccepted S "accepts a value where there is none" "deflate/declines-takeover-value" "deflate";
    DeflateBadBitsAccepted B "accepts any window bits" "deflate/declines-window-7 deflate/declines-window-16 deflate/declines-window-08 deflate/declines-window-empty deflate/answer-window-16" "deflate";
    DeflateUnknownAccepted B "accepts unknown parameters" "deflate/declines-unknown deflate/answer-unknown" "deflate";
    RsvOneForgotten B "compresses and doesn't set RSV1" "deflate/hello deflate/empty deflate/final-block deflate/stored-block deflate/tail-cut deflate/twenty deflate/two-blocks" "deflate";
    RsvOneOnContinuations B "sets RSV1 on continuations" "deflate/rsv1-first-only" "deflate";
    RsvOneOnPongs B "compresses pongs" "deflate/pong-uncompressed deflate/ping-between" "deflate";
    RsvOneOnClose B "sets RSV1 on Close" "deflate/close-uncompressed" "";
    RsvOneOnContinuationAccepted B "accepts RSV1 on continuations" "deflate/rsv1-on-continuation" "rules deflate";
    RsvOneOnControlAccepted B "accepts RSV1 on control frames" "deflate/rsv1-on-ping" "rules deflate";
    DeflateTakeoverForgotten B "forgets the window after each message" "deflate/takeover" "deflate";
    DeflateTakeoverKept S "keeps its window though it agreed not to" "deflate/no-takeover-kept" "deflate";
    DeflateWindowIgnored S "compresses with a window larger than agreed" "deflate/window-kept" "deflate";
    DeflateTailNotAdded B "inflates without the tail" "deflate/fragments deflate/far-back deflate/large deflate/incompressible deflate/twenty" "deflate";
    DeflateTailKept B "sends the tail" "deflate/tail-cut" "deflate";
    DeflateEmptyWritten B "compresses an empty message to nothing" "deflate/empty" "";
    DeflateEndsAtBfinal B "is lost after a final block" "deflate/after-final-block" "deflate";
    DeflateRubbishAccepted B "delivers what isn't DEFLATE" "deflate/not-deflate" "deflate";
    DeflateTruncatedAccepted B "delivers a message that was cut short" "deflate/cut-short" "deflate";
    DeflateBombInflated B "inflates without a bound" "-" "deflate";
    CompressedOnlyAccepted B "refuses uncompressed messages" "deflate/uncompressed" "deflate";
    CompressedTextUnchecked B "doesn't check compressed text" "deflate/not-utf8" "deflate";
    AnswerHasLength S "adds a Content-Length to its 101" "accept/no-body-headers" "";
    NextDroppedAfterRefusal S "drops the connection after a refused one" "refuse/then-accepts" "";
    SpaceBeforeColonAccepted S "accepts a space before the colon" "refuse/space-before-colon" "";
    MalformedHostAccepted S "accepts a Host with a space in it" "policy/malformed-host" "";
    OwnOriginRefused S "refuses every Origin with 400" "policy/origin-own" "head policy";
    ShortMessagesLost B "ignores messages of one byte" "lengths/text-1" "frame";
    Length125TakenFor126 B "takes 125 for the mark of a 16-bit length" "lengths/text-125 lengths/binary-125" "ping close rules";
    TextThroughLatin1 B "takes text for Latin-1 and encodes it again" "utf8/two-bytes utf8/three-bytes" "utf8 fragments";
    ByteOrderMarkDropped B "drops a byte order mark" "utf8/byte-order-mark" "utf8";
    BinaryCheckedAsText B "wants UTF-8 in binary messages" "frame/binary-all-bytes" "";
    MaskCounted C "counts its masks up" "frame/masks-not-counted" "";
    MasksAlternate C "has two masks, and takes them in turn" "frame/fresh-masks" "frame";
    MasksOfSeed C "draws the same masks on each connection" "frame/fresh-masks" "";
    MasksOf16Bits C "draws two random bytes of each mask" "frame/masks-random" "";
    ViolationHarmsOthers S "ends all connections at a violation of one" "rules/others-unharmed" "";
    GoesOnAfterViolation B "sends a Close at a violation, and goes on" "rules/nothing-after" "rules";
    FramesReadUnderLock S "holds a lock while it reads a payload" "many/silent-in-mid-frame" "many";
    AsksWithTwoKeys C "sends two keys" "head/no-repeats" "accept";
    AsksInBareLineFeeds C "ends its lines with a line feed alone" "head/line-ends" "";
    // the client's opening
    KeyFixed C "has one key for all connections" "accept/key-fresh" "";
    KeyShort C "has a key of 15 bytes" "accept/key-of-16-bytes" "";
    KeyLong C "has a key of 17 bytes" "accept/key-of-16-bytes" "";
    KeyOfOneByte C "repeats one byte as its key" "accept/key-random" "";
    KeyHex C "writes its key in hex" "accept/key-of-16-bytes" "";
    AsksWithPost C "asks with POST" "head/request-line" "";
    AsksInHttp10 C "asks in HTTP/1.0" "head/request-line" "";
    AsksForNoSlash C "leaves out the slash" "head/request-line" "";
    AsksWithoutHost C "sends no `Host`" "head/host" "";
    AsksWithoutPort C "leaves the port out of `Host`" "head/host" "";
    AsksWithUrlAsHost C "writes its URL into `Host`" "head/host" "";
    AsksWithFragment C "asks for a path with a fragment" "head/request-line" "";
    AsksWithoutUpgrade C "sends no `Upgrade`" "head/upgrade" "";
    AsksWithoutConnection C "sends no `Connection: Upgrade`" "head/connection" "";
    AsksWithoutKey C "sends no key" "accept/key-of-16-bytes" "head frame";
    AsksWithoutVersion C "sends no version" "head/version" "";
    AsksForVersion8 C "asks for version 8" "head/version" "";
    DeflateOfferBroken C "offers 99 window bits" "deflate/offer-legal" "";
    AnswerVersionUnchecked C "accepts any HTTP version" "refuse/not-http" "accept refuse";
    StatusUnchecked C "doesn't look at the status" "refuse/status-200 refuse/redirect refuse/status-400 refuse/status-404 refuse/status-503" "refuse";
    ReasonPhraseChecked C "wants the usual reason phrase" "head/answer-any-reason" "head";
    AnswerUpgradeUnchecked C "doesn't look at `Upgrade`" "accept/no-upgrade accept/other-upgrade" "accept";
    AnswerConnectionUnchecked C "doesn't look at `Connection`" "accept/no-connection" "accept";
    AnswerUpgradeContains C "looks for `websocket` anywhere in `Upgrade`" "accept/other-upgrade" "";
    AnswerConnectionContains C "looks for `upgrade` anywhere in `Connection`" "accept/no-connection" "";
    TwoAcceptsAccepted C "takes the first of two accepts" "accept/two-values" "";
    NoAcceptAccepted C "accepts an answer without the accept" "accept/missing" "accept";
    WrongAcceptAccepted C "doesn't compare the accept" "accept/wrong accept/of-another-key" "accept";
    AcceptComparedInPart C "compares only the first ten characters of the accept" "accept/wrong" "accept";
    AcceptCaseIgnored C "compares the accept without its case" "accept/other-letter-case" "accept";
    SubprotocolUncheckedByClient C "accepts an unasked subprotocol" "accept/unasked-subprotocol" "policy";
    ExtensionUncheckedByClient C "accepts an unasked extension" "accept/unasked-extension" "deflate";
    FramesBeforeTheAnswer C "sends a frame before the answer" "head/waits-for-answer" "";
    RefusedAndTalksOn C "keeps a refused connection open, and sends messages on it" "accept/wrong accept/missing accept/no-upgrade" "accept refuse deflate";
    RefusedAndLeftOpen C "keeps a refused connection open" "accept/wrong accept/missing accept/no-upgrade" "accept refuse deflate";
    SubprotocolOfferEmpty C "offers an empty list of subprotocols" "policy/offer" "";
    SubprotocolOfferTwice C "offers a subprotocol twice" "policy/offer" "";
    // legal
    GreetsFirst B "greets with a message" "" "";
    SendsPings B "sends pings of its own" "" "";
    PingsConstantly B "sends a ping whenever nothing came for 10 ms" "" "";
    TalksConstantly B "sends a message of its own every 20 ms" "" "";
    PongsUnasked B "sends a pong before each message, as a heartbeat" "" "";
    EmptyFirstFragment B "begins each message with an empty fragment" "" "";
    ReasonOnViolation B "says in words which rule was broken" "" "";
    FirstAnswerLate S "takes four seconds for its first answer" "" "";
    PausesInItsAnswer S "pauses for 300 ms in the middle of its 101" "" "";
    ListOn101 S "answers `Connection: keep-alive, Upgrade`" "" "";
    EarlyFramesRefused S "refuses a request with bytes behind it" "" "";
    FragmentsItsEcho B "fragments what it sends" "" "";
    FragmentsAndPings B "fragments what it sends, with a ping in between" "" "";
    DribblesItsAnswer S "writes its 101 byte by byte" "" "";
    DribblesFrames B "writes its frames byte by byte" "" "";
    WritesSlowly S "writes 50,000 bytes a second" "" "";
    RoomForTwo S "has room for two, and answers 503 then" "" "";
    RoomForTwoSaid S "has room for two, and closes others with 1013" "" "";
    AnswersSlowly B "waits 150 ms with each answer" "" "";
    ClosesSlowly B "waits before and after its Close" "" "";
    DeflateDeclined S "declines compression" "" "";
    DeflateFirstOfferOnly S "declines if it can't take the first offer" "" "";
    DeflateOffersNoTakeover S "answers with no takeover unasked" "" "";
    DeflateNeverUsed B "agrees to compression and sends without" "" "";
    DeflateNotOffered C "offers no compression" "" "";
    ViolationHangsUp B "hangs up on a violation, without a Close" "" "";
    ViolationsAre1002 B "says 1002 to all violations" "" "";
    RefusalsAre400 S "refuses with 400" "" "";
    RefusalsAre426 S "refuses with 426" "" "";
    AnswerInUpperCase S "writes field names in upper case" "" "";
    AnswerInLowerCase S "writes field names in lower case, without spaces" "" "";
    EarlyHintsFirst S "sends 103 before its 101" "" "";
    OtherSitesPagesOnly S "accepts no Origin of its own host" "" "";
    TextsOnly S "closes with 1003 on a binary message" "" "";
    OtherReasonPhrase S "has a reason phrase of its own" "" "";
    NoReasonPhrase S "has an empty reason phrase" "" "";
    ExtraFieldsOn101 S "sends more fields on its 101" "" "";
    RefusesWithPage S "refuses with a page" "" "";
    KeptAliveAfterRefusal S "keeps the connection after a refusal" "" "";
    CloseAnsweredEmpty B "answers Close without a body" "" "";
    CloseAnsweredWith1000 B "answers Close with 1000" "" "";
    CloseReasonEchoed B "sends the reason back" "" "";
    CloseUnassignedAccepted B "accepts the codes 1016 to 2999" "" "";
    LimitOf64Kib B "takes messages of 65,536 bytes at most" "" "";
    FrameLimitOf64Kib B "takes frames of 65,536 bytes at most, and longer messages" "" "";
    FrameLimitOf20000 B "takes frames of 20,000 bytes at most, and longer messages" "" "";
    PongsSlowly S "waits a second with each pong" "" "";
    PongsForLastOnly B "answers the last of several pings" "" "";
    TextCheckedAtTheEnd B "checks text when it is whole" "" "";
    TakesFirstSubprotocol S "takes the first subprotocol" "" "";
    TakesLastSubprotocol S "takes the last subprotocol" "" "";
    ForeignOriginRefused S "refuses other origins" "" "";
    SixteenFieldsAtMost S "refuses more than sixteen fields" "" "";
    RootPathOnly S "has one path" "" "";
    HeadOf512BytesAtMost S "refuses heads of more than 512 bytes" "" "";
    ConnectsAgain C "connects again when its connection has ended" "" "";
    DribblesItsRequest C "writes its request byte by byte" "" "";
    AsksLikeFirefox C "asks with `keep-alive, Upgrade`" "" "";
    AsksForAbsoluteUri C "asks for an absolute URI of the same host, as §4.1 allows" "" "";
    AsksWithCookies C "sends more fields" "" "";
    AsksInLowerCase C "writes field names in lower case" "" "";
    LeavesWithoutSubprotocol C "offers subprotocols, and leaves if none is chosen" "" "";
}
