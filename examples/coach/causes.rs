//! The usual cause of a failure in a learner's code, and its fix, for checks whose rule is broken in several ways.
//!
//! A rule's own texts stand with the rule (`Lesson`); here stand those of a single check, in the order of the stages.

/// Cause and fix of this very check.
pub fn own(id: &str) -> Option<(&'static str, &'static str)> {
    Some(match id {
        "head/several-at-once" => (
            "One connection is served to its end before the next is accepted, and waits for more after its answer; or what was read of one request is kept where the next one's is.",
            "Answer each connection by itself, with a buffer of its own, and accept the next.",
        ),
        "head/two-pieces" | "head/cut-in-the-empty-line" => (
            "Each read is searched for the empty line by itself, so one that is cut in two is never found.",
            "Append each read to a buffer, and search the buffer from three bytes before the new ones.",
        ),
        "head/waits-for-the-end" => (
            "The request is answered as soon as the lines that matter have come.",
            "Answer only when the empty line has come: what belongs to the head must not be taken for a frame.",
        ),
        "head/no-space-after-colon" => (
            "The line is split at `: `, a colon and a space.",
            "Split at the first colon, and trim what is after it.",
        ),
        "head/spaces-around-values" => (
            "One space is taken off in front of the value, and none, or not all, behind it.",
            "Trim all spaces and tabs at both ends of the value.",
        ),
        "head/tabs-around-values" => {
            ("Spaces are trimmed, and tabs aren't.", "Trim spaces and tabs.")
        }
        "head/keep-alive-upgrade" | "head/as-firefox" => (
            "The value is compared as a whole with `Upgrade`.",
            "Split the value at commas, trim each token, and look whether one of them is `upgrade` in any letter case.",
        ),
        "head/connection-without-space" => (
            "The list is split at `, `, a comma and a space; or compared as a whole.",
            "Split at commas alone, and trim each token.",
        ),
        "head/connection-on-two-lines" => (
            "Headers are kept in a map, where a second line of the same name overwrites the first, or is dropped.",
            "Keep all lines of a name, and join their values with commas.",
        ),
        "head/connection-any-case" => (
            "The token is compared with `Upgrade` byte by byte.",
            "Compare tokens without letter case.",
        ),
        "head/connection-empty-elements" => (
            "An empty element of the list makes the whole list invalid.",
            "Pass over empty elements (RFC 9110 §5.6.1).",
        ),
        "head/upgrade-list" => (
            "The value is compared as a whole with `websocket`.",
            "Split the value at commas, and look whether one element is `websocket`.",
        ),
        "head/unknown-headers" => (
            "A header that isn't known refuses the request; or its value is split at each colon.",
            "Split at the first colon, and keep only the headers that you know.",
        ),
        "head/many-headers" => (
            "A table of headers has a fixed number of places.",
            "Keep only those that you need, or bound the head by its bytes alone.",
        ),
        "head/long-header" => (
            "The buffer for a line, or for the head, is too short for a browser's cookies.",
            "Allow a head of 8 KiB at least.",
        ),
        "head/any-order" => (
            "Headers are expected at fixed lines.",
            "Read all lines first, and look headers up by name.",
        ),
        "head/key-last" => (
            "The value of the last line loses its last byte, as the end of the head is counted wrongly.",
            "Cut the head before its last CR LF, and split the rest into lines at CR LF.",
        ),
        "head/absolute-target" => (
            "The target is compared with a path, though a proxy may send the whole address.",
            "Take what is after the host of an absolute target for the path.",
        ),
        "accept/present-once" => (
            "The header is written twice (by you and by a framework), or not at all.",
            "Write one line `Sec-WebSocket-Accept: ..`: base64 of the SHA-1 of key and GUID.",
        ),
        "accept/status" => (
            "A framework answers 200, as it does to each request that went well.",
            "Write `HTTP/1.1 101 Switching Protocols` as the first line.",
        ),
        "accept/version" => (
            "The status line was copied from an old example, or from the request.",
            "Begin the answer with `HTTP/1.1 101`.",
        ),
        "accept/upgrade" => (
            "The header is missing, misspelt, or names another protocol.",
            "Write `Upgrade: websocket`.",
        ),
        "accept/connection" => (
            "The header is missing, or a framework writes `Connection: keep-alive` in its place.",
            "Write `Connection: Upgrade`.",
        ),
        "accept/line-ends" => (
            "Lines end with LF alone; or base64 in your language ends with a line feed, which went into the header.",
            "End each line with CR LF, and trim what base64 returns (in Python: `b64encode`, and not `encodebytes`).",
        ),
        "accept/no-body-headers" => (
            "A framework adds the length of an empty body.",
            "Write the 101 by hand: what follows it are frames, and no body.",
        ),
        "accept/nothing-behind" => (
            "The answer has an empty line too many, or a body, and the client reads it as the beginning of a frame.",
            "End the head with one CR LF CR LF, and write nothing but frames after it.",
        ),
        "accept/key-untrimmed" => (
            "The key is cut out of its line with the spaces around it.",
            "Trim spaces and tabs at both ends of each value, before the key is hashed.",
        ),
        "accept/key-with-signs" => (
            "The accept is written in the alphabet of URLs, with `-` and `_`; or `+` and `/` in the key are decoded as in a URL.",
            "Use the standard alphabet, with `+`, `/` and `=`, and take the key as it stands.",
        ),
        "accept/key-letter-case" => (
            "The whole head is turned to lower case before it's parsed, the key with it.",
            "Turn only the names of headers to lower case.",
        ),
        "refuse/no-key" => (
            "A missing key becomes an empty text that is hashed like any other; or the lookup of the missing header ends the thread, and the connection without a word.",
            "Look whether the key is there, and answer `400 Bad Request` if it isn't.",
        ),
        "refuse/key-not-base64" => (
            "The key's length is looked at, and not its letters.",
            "Decode the key strictly, and answer 400 where that fails.",
        ),
        "refuse/two-keys" => (
            "The first or the last of the lines is taken.",
            "Count the lines of the name; answer 400 unless there is one.",
        ),
        "refuse/two-versions" => (
            "The first or the last of the lines is taken.",
            "Count the lines of the name; refuse unless there is one, and it says 13.",
        ),
        "refuse/old-version" | "refuse/new-version" | "refuse/no-version" => (
            "Sec-WebSocket-Version isn't looked at.",
            "Compare it with 13, and answer `426 Upgrade Required` with `Sec-WebSocket-Version: 13` to all else.",
        ),
        "refuse/version-in-answer" => (
            "The refusal lacks the header that says which version would do.",
            "Add `Sec-WebSocket-Version: 13` to the refusal.",
        ),
        "refuse/post" => (
            "The request line isn't looked at; or its refusal is silence.",
            "Compare the method with GET, and answer `405 Method Not Allowed` to others.",
        ),
        "refuse/http-1-0" => (
            "The version in the request line isn't looked at; or its refusal is silence.",
            "Answer `505 HTTP Version Not Supported`, or 400.",
        ),
        "refuse/no-host" => (
            "Host isn't looked at, as nothing seems to need it.",
            "Answer 400 unless there is one Host.",
        ),
        "refuse/other-upgrade" | "refuse/no-upgrade" => (
            "Upgrade isn't looked at: each request is taken for a handshake.",
            "Look for `websocket` among the elements of Upgrade; answer 426 or 400, or serve a page.",
        ),
        "refuse/upgrade-substring" | "refuse/connection-substring" => (
            "The token is sought with `contains`, anywhere in the value.",
            "Split at commas, trim, and compare whole tokens.",
        ),
        "refuse/no-connection" => (
            "Connection isn't looked at.",
            "Look for `upgrade` among the tokens of Connection; answer 400 otherwise.",
        ),
        "refuse/huge-head" => (
            "The head grows as long as bytes come.",
            "Bound a head, to 16 KiB say, and answer 431 or close beyond.",
        ),
        "refuse/then-accepts" => (
            "The refusal ends the loop that accepts, or leaves something set that the next connection meets.",
            "Handle each connection's errors where that connection is handled.",
        ),
        "frame/text" => (
            "The payload isn't unmasked, or unmasked wrongly; or the frame isn't answered at all.",
            "XOR byte i of the payload with byte i mod 4 of the mask key; write 0x81, the length, and the bytes.",
        ),
        "frame/kind-text" | "frame/kind-binary" => {
            ("The opcode of the answer is a constant.", "Answer with the opcode that came.")
        }
        "frame/binary-all-bytes" => (
            "The payload goes through a text on its way: a zero ends it, or what isn't UTF-8 is replaced.",
            "Keep payloads as bytes, with their length.",
        ),
        "frame/spaces-kept" => (
            "The text is trimmed, as one would a line of input.",
            "Send the bytes back as they came.",
        ),
        "frame/ten-in-turn" => (
            "The connection is closed, or no longer read, after its first message.",
            "Read and answer frames in a loop, until a Close comes or the stream ends.",
        ),
        "frame/no-reserved-bits" => (
            "The first byte of the answer is built with a wrong constant, or copied from what came.",
            "Write 0x80 | opcode: 0x81 for text, 0x82 for binary.",
        ),
        "frame/complete" => (
            "FIN is never set, so the message never ends for the client; or a later fragment repeats the opcode.",
            "Set 0x80 in the first byte of the last frame, and opcode 0 in all frames but the first.",
        ),
        "frame/another-mask" => (
            "The mask of the first frame is kept for all.",
            "Read the mask key anew from each header.",
        ),
        "frame/zero-mask" => (
            "A mask of zeros is taken for no mask, though its four bytes are there; or it's refused.",
            "Let the MASK bit alone say whether a key follows, whatever the key is.",
        ),
        "frame/mask-continues" => (
            "Only four bytes are unmasked, or the index doesn't begin at 0 in each payload.",
            "Count i from the payload's first byte, and use byte i mod 4 of the key.",
        ),
        "frame/masked" => (
            "The mask is forgotten on some frames: empty ones, long ones, all but the first.",
            "Build each frame with one function, which sets the MASK bit and draws a key.",
        ),
        "frame/fresh-masks" => (
            "The key is a constant, or drawn once for a connection.",
            "Draw four random bytes for each frame.",
        ),
        "frame/masks-random" => {
            ("One random byte is used four times.", "Draw four random bytes, and not one.")
        }
        "frame/masks-not-counted" => {
            ("The key is a counter.", "Draw four bytes from the system's random source.")
        }
        "lengths/text-0" | "lengths/binary-0" => (
            "A payload of no bytes is taken for the end of the stream, or for no message at all.",
            "Answer an empty message with an empty message: 81 00, or 82 00.",
        ),
        "lengths/text-1" => {
            ("Short messages are taken for noise.", "Answer messages of any length.")
        }
        "lengths/text-125" | "lengths/binary-125" => (
            "`<` stands where `<=` is meant: 125 is still a length.",
            "Take 126 and 127 alone for the marks of a longer length.",
        ),
        "lengths/text-126" | "lengths/binary-126" | "lengths/text-127" | "lengths/binary-127"
        | "lengths/binary-128" | "lengths/binary-255" => (
            "126 in the second byte is taken for the length itself; or the two bytes after it are read low byte first.",
            "If the seven bits are 126, read two more bytes: length = b2 << 8 | b3. Only then comes the mask key.",
        ),
        "lengths/binary-256" => {
            ("Only one of the two bytes of the length is used.", "length = b2 << 8 | b3.")
        }
        "lengths/binary-32768" | "lengths/text-65535" | "lengths/binary-65535" => (
            "The 16-bit length is read as a signed number, so that 32,768 and more are negative.",
            "Read it unsigned (`>H` in Python, `readUInt16BE` in Node, & 0xffff elsewhere).",
        ),
        "lengths/text-65536"
        | "lengths/binary-65536"
        | "lengths/text-1MiB"
        | "lengths/binary-1MiB" => (
            "127 isn't done; or four of the eight bytes after it are read; or one read is taken for the whole payload.",
            "If the seven bits are 127, read eight more bytes, high byte first; then read until the payload is whole.",
        ),
        "lengths/fewest-bytes-125" => (
            "`< 125` stands where `<= 125` is meant, or each length is written in 16 or 64 bits.",
            "Write up to 125 in the second byte itself.",
        ),
        "lengths/fewest-bytes-126" => (
            "Each length above 125 is written in 64 bits.",
            "Write 126 to 65,535 as 126 and two bytes.",
        ),
        "lengths/fewest-bytes-65535" => (
            "`< 65535` stands where `<= 65535` is meant, or each length above 125 is written in 64 bits.",
            "Write 65,535 still as 126 and two bytes.",
        ),
        "stream/cut-after-first-byte"
        | "stream/cut-in-length"
        | "stream/cut-in-mask"
        | "stream/cut-everywhere" => (
            "Half a header is parsed as if it were whole, or thrown away when the next read comes.",
            "Parse only when the whole header is in the buffer: 2 bytes, then 2 or 8 of length, then 4 of mask.",
        ),
        "stream/cut-in-payload" | "stream/large-in-pieces" => (
            "One read is taken for the whole payload; or the mask begins again with each read.",
            "Read until the length has come, and count the mask's index over the whole payload.",
        ),
        "stream/frame-and-a-half" => (
            "What is left of a read after its first frame is thrown away, or taken for the beginning of a new one.",
            "Keep the rest of the buffer, and append the next read to it.",
        ),
        "stream/order" => (
            "Each message is answered on a thread or task of its own.",
            "Answer a connection's messages one after another.",
        ),
        "ping/answered" => (
            "Opcode 9 is ignored, or answered with another opcode.",
            "On opcode 9 write a frame with opcode 10 and the same payload.",
        ),
        "ping/payload" | "ping/payload-binary" => (
            "The pong is written empty, or the payload goes through a text.",
            "Copy the ping's payload, unmasked, into the pong.",
        ),
        "ping/empty" => ("A ping without a payload is taken for none.", "Answer 89 80 with 8a 00."),
        "ping/payload-125" => (
            "A buffer for control frames is shorter than 125 bytes, or 125 is taken for too long.",
            "Allow 125 bytes of payload in a control frame, and copy all of them.",
        ),
        "ping/not-echoed" => (
            "Pings go through the code that echoes messages.",
            "Branch on the opcode before anything is echoed.",
        ),
        "ping/pong-frame" => (
            "The pong is built by other code than the messages are, which forgets a bit or the mask.",
            "Build each frame with one function.",
        ),
        "ping/in-one-write" => (
            "The frame after the first one of a read is thrown away.",
            "Parse the buffer until no whole frame is left, and read only then.",
        ),
        "ping/once" => ("The library and your own code both answer.", "Answer a ping once."),
        "close/answered" | "close/in-pieces" => (
            "The socket is closed at once when opcode 8 comes, so that a browser reports 1006; or the Close is ignored.",
            "On opcode 8 write 88 02 and the same two bytes of code, flush, and only then close the socket.",
        ),
        "close/empty" => (
            "A Close without a body is answered with 1005, which only stands for `no code` in programs and is never sent; or two bytes are read that aren't there.",
            "Answer a Close of length 0 with 88 00.",
        ),
        "close/same-code" => {
            ("The answer has a constant code.", "Copy the two bytes of the code that came.")
        }
        "close/then-ends" => (
            "The loop that reads goes on after the Close, and waits for a client that waits for it.",
            "Leave the loop after the Close is written, and close the socket.",
        ),
        "close/without-close" => (
            "A stream that ends without a Close raises an error that ends the whole server.",
            "Take the end of the stream as the end of that connection, and serve on.",
        ),
        "close/answer-frame" => (
            "The Close is built by hand with a wrong bit, a code low byte first, a code that is never sent, or half a body.",
            "Write 88 02, the code's high byte, its low byte.",
        ),
        "close/code-1001" | "close/code-1003" | "close/code-1007" | "close/code-1008"
        | "close/code-1009" | "close/code-1010" | "close/code-1011" | "close/code-1012"
        | "close/code-1013" | "close/code-1014" => (
            "The list of allowed codes is too short, or 1000 alone is expected.",
            "Allow 1000 to 1003, 1007 to 1014 and 3000 to 4999.",
        ),
        "close/code-3000" | "close/code-4999" => {
            ("Codes above 2999, which belong to applications, are refused.", "Allow 3000 to 4999.")
        }
        "close/bad-code-1005"
        | "close/bad-code-1006"
        | "close/bad-code-1015"
        | "close/bad-code-1004" => (
            "The code is sent back unread, though it's reserved.",
            "Answer 1002 to 1004, 1005, 1006 and 1015.",
        ),
        "close/one-byte" => (
            "The code is read without a look at the length, or the body is sent back unread.",
            "Answer a body of one byte with 1002.",
        ),
        "close/reason" => (
            "A reason is cut at a fixed number of bytes, inside a character; or a reason isn't expected.",
            "Send the code back without a reason.",
        ),
        "close/reason-123" => (
            "A buffer for the reason is shorter than 123 bytes, or cuts it inside a character.",
            "Allow 125 bytes in all, and send the code back without a reason.",
        ),
        "close/reason-not-utf8" => (
            "The reason isn't looked at, and sent back.",
            "Check it as you check texts, and answer 1007.",
        ),
        "close/nothing-after" => (
            "Messages that were waiting are written after the Close, by another thread or from a queue.",
            "Note that the Close was sent, under the same lock as the writing, and write nothing more.",
        ),
        "close/data-after" => (
            "The loop goes on after the Close, and echoes what came with it.",
            "Leave the loop when a Close came, whatever is left in the buffer.",
        ),
        "close/once" => (
            "Each Close that comes is answered; or both the library and your own code answer.",
            "Answer the first, and leave the loop.",
        ),
        "fragments/two" | "fragments/three" | "fragments/binary" => (
            "Each frame is taken for a message; or opcode 0 is unknown, and passed over or refused.",
            "Keep the opcode of the first frame, append each payload, and answer when FIN comes.",
        ),
        "fragments/empty-first" | "fragments/empty-middle" => (
            "An empty fragment is taken for the end of the message, or refused.",
            "Let FIN alone say where a message ends.",
        ),
        "fragments/empty-last" => (
            "An empty frame is passed over before its FIN is looked at.",
            "Look at FIN whatever the payload's length: a writer that streams ends with an empty fragment.",
        ),
        "fragments/hundred" => (
            "The fragments of a message have a fixed number of places.",
            "Bound a message by its bytes, and by thousands of fragments rather than by tens.",
        ),
        "fragments/in-one-write" => (
            "What comes after the first frame of a read is thrown away.",
            "Parse the buffer until no whole frame is left, and read only then.",
        ),
        "fragments/pong-at-once" => (
            "The ping waits in a queue until the message is whole.",
            "Answer a ping where it's read.",
        ),
        "fragments/ping-between" => (
            "The ping's payload is appended to the message, the message is dropped, or the ping is refused.",
            "Treat control frames apart, before the message that is being put together is touched.",
        ),
        "fragments/then-another" => (
            "The parts of the first message aren't cleared, or its opcode stays.",
            "Clear both when FIN came.",
        ),
        "utf8/byte-order-mark" => (
            "The decoder takes U+FEFF for a mark of the encoding, and drops it.",
            "Use a decoder that keeps it (`ignoreBOM: true`, `utf-8` and not `utf-8-sig`).",
        ),
        "utf8/nul" => (
            "A zero ends the text, or counts as invalid.",
            "Keep the length beside the bytes; U+0000 is a character.",
        ),
        "utf8/two-bytes" | "utf8/three-bytes" => (
            "The text is decoded as Latin-1 or ASCII on its way.",
            "Pass the bytes on as they are, once they were found to be valid.",
        ),
        "utf8/four-bytes" | "utf8/edges" | "utf8/noncharacters" => (
            "Characters of four bytes are refused, as by a `utf8` that ends at U+FFFF.",
            "Allow each character up to U+10FFFF.",
        ),
        "utf8/surrogate" => (
            "The decoder lets halves of UTF-16 pairs through.",
            "Refuse ed a0 to ed bf: use your language's strict decoder.",
        ),
        "utf8/overlong-2" | "utf8/overlong-3" | "utf8/overlong-4" => (
            "The decoder adds up the bits, and doesn't look whether a shorter form would do.",
            "Refuse c0, c1, e0 before 80 to 9f, and f0 before 80 to 8f: use your language's strict decoder.",
        ),
        "utf8/beyond-the-last" => {
            ("The decoder doesn't know the end of Unicode.", "Refuse f4 before 90 and all above.")
        }
        "utf8/cut-at-the-end" | "utf8/cut-in-last-fragment" => (
            "The decoder waits for the rest of the character, and nothing looks whether it's missing when the message ends.",
            "At FIN, fail if a character is incomplete (`final=True`, `decode()` without `stream`).",
        ),
        "utf8/code-1007" => (
            "The connection is dropped, or closed with the code for all errors.",
            "Close with 1007.",
        ),
        "rules/unmasked-empty" | "rules/unmasked-ping" | "rules/unmasked-later" => (
            "The MASK bit is looked at on some frames only.",
            "Look at it where each header is parsed, before the opcode is.",
        ),
        "rules/length-top-bit" => (
            "The 64-bit length is read as a signed number, or its lower half alone.",
            "Read all eight bytes, and close with 1002 if the first is 0x80 or above.",
        ),
        "rules/close-code" => (
            "The socket is dropped on each error.",
            "Write a Close with 1002 before the socket is closed.",
        ),
        "rules/others-unharmed" => (
            "An error of one connection ends the loop, the process, or a list that all share.",
            "Catch errors where each connection is served.",
        ),
        "many/two-at-once" => (
            "The loop that accepts also talks; or a list has one place for `the` client.",
            "Give each connection a thread, a task or its place in an event loop.",
        ),
        "many/own-messages" => (
            "Messages are kept, or sent, in a place that all connections share.",
            "Keep the state of a connection in the connection.",
        ),
        "many/silent-in-mid-frame" => (
            "A lock is held while a frame is read, or one thread reads all sockets blocking.",
            "Hold no lock across a read.",
        ),
        "many/never-reads" => (
            "A lock is held while a message is written, or one thread writes to all sockets blocking.",
            "Hold no lock that others need across a write; bound how long a write may take.",
        ),
        "many/idle" => (
            "A table of connections has few places, and the oldest is dropped when they have gone round; or idle ones are dropped within a moment.",
            "Give a place back when its connection ends, and take only free ones.",
        ),
        "deflate/empty" => (
            "The empty message is compressed to no byte at all.",
            "Compress to the single byte 00 (RFC 7692 §7.2.3.6), or send it without RSV1.",
        ),
        "deflate/after-final-block" => (
            "The inflater says that it has ended, and is asked again as it is.",
            "Begin the inflater anew after a final block, with the window kept.",
        ),
        "deflate/takeover" | "deflate/far-back" => (
            "The inflater is made anew for each message, though the answer didn't say `client_no_context_takeover`.",
            "Keep one inflater for the connection.",
        ),
        "deflate/fragments" => (
            "Each fragment is inflated by itself, with the four bytes behind each.",
            "Append the four bytes once, after the last fragment.",
        ),
        "deflate/uncompressed" => (
            "Each message is inflated once compression was agreed on.",
            "Inflate only messages whose first frame has RSV1.",
        ),
        "deflate/rsv1-first-only" => {
            ("RSV1 is set on each fragment.", "Set it on the first frame of a message alone.")
        }
        "deflate/pong-uncompressed" | "deflate/close-uncompressed" => (
            "Control frames go through the code that compresses messages.",
            "Write control frames past the compressor, without RSV1.",
        ),
        "deflate/no-takeover-kept" => (
            "The answer says `server_no_context_takeover`, and the compressor isn't told.",
            "Reset the compressor after each message.",
        ),
        "deflate/window-kept" => (
            "The answer says `server_max_window_bits`, and the compressor keeps its window of 32 KiB.",
            "Make the compressor with the bits of your answer.",
        ),
        "deflate/cut-short" => (
            "An inflater that wants more bytes isn't seen as an error.",
            "After the four bytes, the inflater must have taken all: close with 1007 otherwise.",
        ),
        "deflate/not-utf8" => (
            "UTF-8 is checked before the text is inflated, or not at all.",
            "Check what came out of the inflater.",
        ),
        "deflate/fallback" | "deflate/on-two-lines" => (
            "The first offer alone is looked at; or one bad offer refuses the whole request.",
            "Go through all offers, over all lines, and take the first that you can keep to.",
        ),
        "deflate/server-window-8" => (
            "zlib makes 9 of 8 bits, or fails on 8 with an exception.",
            "Decline an offer of 8 bits, or answer 8 and keep to 256 bytes.",
        ),
        "deflate/client-window"
        | "deflate/client-window-value"
        | "deflate/no-client-window-unasked" => (
            "`client_max_window_bits` is answered though it wasn't offered, or with more than was offered.",
            "Answer it only if it was offered, with at most the value that stood there.",
        ),
        _ => return None,
    })
}
