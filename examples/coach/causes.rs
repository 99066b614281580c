//! The usual cause of a failure in a learner's code, and its fix, for checks whose rule can be broken in several ways.
//!
//! A rule's general texts are in its `Lesson`. This file has the texts of single checks, in the order of the stages, and
//! those for mistakes that a check can tell from what it saw.

/// Returns the cause and fix of the mistake that shows in what this check saw, or `None` if it
/// shows none.
pub fn for_seen(id: &str, seen: &str) -> Option<(&'static str, &'static str)> {
    Some(match id.split_once('/')? {
        ("head" | "accept", _)
            if seen.contains("without an empty line")
                || seen.starts_with("a head without an end: \"HTTP/") =>
        {
            (
                "The last header's line has its CR LF, but the empty line after it is missing.",
                "Write CR LF twice after the last header.",
            )
        }
        ("head", "plain") if seen.starts_with("silence") => (
            "The server doesn't write its answer yet, or keeps it in a buffer; or it waits for more bytes, because it doesn't find the end of the head, or expects a body.",
            "As soon as the bytes that have come contain CR LF CR LF, write the 101 with an empty line at its end, and flush.",
        ),
        ("head", "plain") if seen.contains("without a byte") => (
            "The server closes the connection before it answers: it doesn't recognize the handshake, or an error in the code that serves the connection ended it.",
            "Look at what your server printed. Compare the names of headers, `websocket` and `upgrade` without letter case.",
        ),
        ("head", "plain") if seen.starts_with("the answer \"HTTP/") => (
            "The server finds no handshake in this request, or one that breaks a rule; or a web framework answers.",
            "Look at the request below: find the rule that it breaks in your server's opinion, and correct that rule.",
        ),
        ("accept", _) if seen.starts_with("the answer \"HTTP/") && seen.contains(" 200") => {
            own("accept/status")?
        }
        ("accept", _) if seen.contains("begins with a space") => (
            "The answer is a text over several lines in the source, and its lines are indented there.",
            "Build the answer line by line, so that each line begins with the name of its header.",
        ),
        ("head" | "accept", _)
            if ["space before its colon", "has no colon", "is no header's name"]
                .iter()
                .any(|wrong| seen.contains(wrong)) =>
        {
            (
                "A header's line is written by hand: as `Name : value`, without its colon, or with an invalid name.",
                "Write each line as the name, a colon directly after it, a space and the value.",
            )
        }
        ("refuse", _) if seen.contains("which says that all went well") => (
            "The server finds the fault, but answers with a status of success; or it serves a page to any request that it doesn't take for a handshake.",
            "Answer with a status from 400 on, such as `400 Bad Request`.",
        ),
        ("refuse", _) if seen.starts_with("no HTTP answer: \"") => (
            "The refusal is no whole HTTP head: it lacks its status line, or the empty line at its end.",
            "Begin it with `HTTP/1.1 400 Bad Request`, and write CR LF twice after the last header.",
        ),
        ("fragments", _) if seen.contains(" came back as ") => (
            "The code takes the message's kind from the wrong frame, such as a continuation or a ping between, or always answers with the same kind.",
            "Keep the opcode of the message's first frame, and send the echo with it.",
        ),
        ("fragments" | "utf8" | "rules" | "deflate", _)
            if seen.contains("which may not be sent") =>
        {
            (
                "The code finds the fault, but closes with a number that no Close may carry: 1005, 1006 and 1015 only name cases inside programs.",
                "Close with 1002 for a broken rule, and with 1007 for a text that isn't UTF-8.",
            )
        }
        ("deflate", _) if seen.contains("without RSV1; and then") => (
            "The code compresses its messages, but doesn't set RSV1; or it doesn't inflate what comes.",
            "Inflate what has RSV1, and set RSV1 on the first frame of each message that you compress.",
        ),
        ("deflate", "hello") if seen.contains("code 1002") => (
            "The answer accepts the offer of permessage-deflate, but the code that reads frames still refuses RSV1.",
            "Leave the extension out of your answer until you inflate what has RSV1.",
        ),
        ("frame", "text") if seen.contains("a zero byte appended") => (
            "The payload is kept as a C string, and the zero that ends it is sent, too.",
            "Send as many bytes as the frame announced.",
        ),
        ("close", "answer-frame") if seen.starts_with("a Close with") => (
            "The Close is built by hand, and not with the function that writes all other frames.",
            "Write the Close with the same function: a client masks each frame, even an empty Close, and a server none.",
        ),
        ("frame", "fresh-masks") if seen.contains("on two connections") => (
            "The masks come from a generator of pseudo-random numbers, which begins with the same number each time.",
            "Draw four bytes from the system's random source for each frame.",
        ),
        ("frame", _) if seen.contains("unmasked with the key") => own("frame/another-mask")?,
        ("frame", _) if seen.contains("masked with the key") => (
            "The client writes a mask key, but XORs the payload with other bytes, or with none.",
            "XOR byte i of the payload with byte i mod 4 of the key that you write into the header.",
        ),
        ("accept" | "refuse", _) if seen.contains("neither went on nor ended") => (
            "The client finds the fault, but leaves the socket open; or it waits for more.",
            "Report the fault, and close the socket.",
        ),
        ("frame" | "lengths", _) if seen.contains("without FIN") => own("frame/complete")?,
        ("lengths", _) if seen.contains("that announces") => (
            "The server read the message, but the length in its answer's frame is wrong: low byte first, or cut to its lowest bits.",
            "Write a length of 126 to 65,535 as the byte 126 and two bytes, and a larger one as 127 and eight bytes, high byte first.",
        ),
        ("ping", "answered") if seen.starts_with("a pong of") => own("ping/payload")?,
        ("ping", _) if seen.contains("ping came back") => (
            "The code that echoes messages also echoes pings, with their opcode.",
            "On opcode 9 write a frame with opcode 10 and the same payload.",
        ),
        _ => return None,
    })
}

/// Returns the cause and fix of this check, or `None` if those of its rule's `Lesson` are enough.
pub fn own(id: &str) -> Option<(&'static str, &'static str)> {
    Some(match id {
        "head/several-at-once" => (
            "The server serves one connection to its end before it accepts the next, and waits for more bytes after its answer; or all connections share one buffer.",
            "Give each connection its own buffer, answer its request, and accept the next connection.",
        ),
        "head/two-pieces" | "head/cut-in-the-empty-line" => (
            "The server searches each read separately for the empty line, so it never finds one that is cut in two.",
            "Append each read to a buffer, and search the buffer from three bytes before the new ones.",
        ),
        "head/waits-for-the-end" => (
            "The server answers as soon as it has the lines that it needs, before the head has ended.",
            "Answer only after the empty line has come. Otherwise the rest of the head is taken for a frame.",
        ),
        "head/no-space-after-colon" => (
            "The line is split at `: `, a colon and a space.",
            "Split at the first colon, and trim the value after it.",
        ),
        "head/spaces-around-values" => (
            "The server removes one space before the value, and none, or not all, after it.",
            "Trim all spaces and tabs at both ends of the value.",
        ),
        "head/tabs-around-values" => {
            ("Spaces are trimmed, and tabs aren't.", "Trim spaces and tabs.")
        }
        "head/keep-alive-upgrade" | "head/as-firefox" => (
            "The code compares the whole value with `Upgrade`, but it's a list.",
            "Split the value at commas, trim each token, and check whether one of them is `upgrade`, in any letter case.",
        ),
        "head/connection-without-space" => (
            "The server splits the list at `, `, a comma and a space; or it compares the whole value.",
            "Split at commas alone, and trim each token.",
        ),
        "head/connection-on-two-lines" => (
            "The server keeps headers in a map, where a second line of the same name overwrites the first, or is dropped.",
            "Keep all lines of a name, and join their values with commas.",
        ),
        "head/connection-any-case" => (
            "The server compares the token with `Upgrade` byte by byte.",
            "Compare tokens without letter case.",
        ),
        "head/connection-empty-elements" => (
            "An empty element of the list makes the whole list invalid.",
            "Ignore empty elements (RFC 9110 §5.6.1).",
        ),
        "head/upgrade-list" => (
            "The server compares the whole value with `websocket`, but it's a list.",
            "Split the value at commas, and check whether one element is `websocket`.",
        ),
        "head/unknown-headers" => (
            "The code refuses a head with a header that it doesn't know; or it splits a line at each colon.",
            "Split at the first colon, and keep only the headers that you know.",
        ),
        "head/many-headers" => (
            "The server's table of headers has a fixed number of places.",
            "Keep only the headers that you need, or limit only the bytes of the head.",
        ),
        "head/long-header" => (
            "The buffer for a line, or for the head, is too short for a browser's cookies.",
            "Allow a head of 8 KiB at least.",
        ),
        "head/any-order" => (
            "The server expects headers on fixed lines.",
            "Read all lines first, and look headers up by name.",
        ),
        "head/key-last" => (
            "The last line's value loses its last byte, because the end of the head is computed wrongly.",
            "Cut the head before its last CR LF, and split the rest into lines at CR LF.",
        ),
        "head/answer-any-reason" => (
            "The client compares the whole status line, or its last words.",
            "Compare the version and the three digits of the status, and ignore the words after them.",
        ),
        "head/absolute-target" => (
            "The server compares the target with a path, but a proxy may send a whole URL.",
            "If the target is a whole URL, use the path after its host.",
        ),
        "accept/present-once" => (
            "The header is written twice (by you and by a framework), or not at all.",
            "Write one line `Sec-WebSocket-Accept: ..`: base64 of the SHA-1 of key and GUID.",
        ),
        "accept/status" => (
            "A framework answers 200, as to any successful request.",
            "Write `HTTP/1.1 101 Switching Protocols` as the first line.",
        ),
        "accept/version" => (
            "The status line was copied from an old example, or from the request.",
            "Begin the answer with `HTTP/1.1 101`.",
        ),
        "accept/upgrade" => (
            "The header is missing, misspelt, written twice (by you and by a framework), or names another protocol.",
            "Write `Upgrade: websocket`.",
        ),
        "accept/connection" => (
            "The header is missing, or a framework writes `Connection: keep-alive` in its place.",
            "Write `Connection: Upgrade`.",
        ),
        "accept/line-ends" => (
            "Lines end with LF alone; or your language's base64 ends with a line feed, which went into the header.",
            "End each line with CR LF, and trim what base64 returns (in Python: `b64encode`, and not `encodebytes`).",
        ),
        "accept/no-body-headers" => (
            "A framework adds the length of an empty body.",
            "Write the 101 by hand: frames follow it, and no body.",
        ),
        "accept/nothing-behind" => (
            "The answer has a second empty line, or a body, and the client takes it for the beginning of a frame.",
            "End the head with one CR LF CR LF, and write nothing but frames after it.",
        ),
        "accept/key-untrimmed" => (
            "The server hashes the key together with the spaces around it.",
            "Trim spaces and tabs at both ends of each value, before the key is hashed.",
        ),
        "accept/key-with-signs" => (
            "The accept is written in the alphabet of URLs, with `-` and `_`; or `+` and `/` in the key are decoded as in a URL.",
            "Use the standard alphabet, with `+`, `/` and `=`, and hash the key as it came.",
        ),
        "accept/key-letter-case" => (
            "The server turns the whole head to lower case before it parses it, and the key with it.",
            "Turn only the names of headers to lower case.",
        ),
        "refuse/no-key" => (
            "A missing key becomes an empty text that is hashed like any other; or the lookup of the missing header fails, and ends the connection without an answer.",
            "Check whether the key is there, and answer `400 Bad Request` if it isn't.",
        ),
        "refuse/key-not-base64" => (
            "The server checks the key's length, but not its characters.",
            "Decode the key strictly, and answer 400 if that fails.",
        ),
        "refuse/two-keys" => (
            "The server uses the first or the last of the lines.",
            "Count the lines of that name; answer 400 unless there is exactly one.",
        ),
        "refuse/two-versions" => (
            "The server uses the first or the last of the lines.",
            "Count the lines of that name; refuse unless there is exactly one, and it says 13.",
        ),
        "refuse/old-version" | "refuse/new-version" | "refuse/no-version" => (
            "The server doesn't check Sec-WebSocket-Version.",
            "Compare it with 13, and answer any other value with `426 Upgrade Required` and `Sec-WebSocket-Version: 13`.",
        ),
        "refuse/version-in-answer" => (
            "The refusal lacks the header that names the supported version.",
            "Add `Sec-WebSocket-Version: 13` to the refusal.",
        ),
        "refuse/post" => (
            "The server doesn't check the method; or it refuses without an answer.",
            "Compare the method with GET, and answer `405 Method Not Allowed` to others.",
        ),
        "refuse/http-1-0" => (
            "The server doesn't check the version in the request line; or it refuses without an answer.",
            "Answer 426, 400 or `505 HTTP Version Not Supported`.",
        ),
        "refuse/no-host" => (
            "The server doesn't check Host, because nothing seems to need it.",
            "Answer 400 unless there is exactly one Host.",
        ),
        "refuse/other-upgrade" | "refuse/no-upgrade" => (
            "The server doesn't check Upgrade, and takes each request for a handshake.",
            "Look for `websocket` among the elements of Upgrade; answer 426 or 400, or serve a page.",
        ),
        "refuse/upgrade-substring" | "refuse/connection-substring" => (
            "The server searches for the token anywhere in the value, with `contains`.",
            "Split at commas, trim, and compare whole tokens.",
        ),
        "refuse/no-connection" => (
            "The server doesn't check Connection.",
            "Look for `upgrade` among the tokens of Connection; answer 426 or 400 otherwise.",
        ),
        "refuse/huge-head" => (
            "The server's buffer for the head grows as long as bytes come.",
            "Limit a head to 16 KiB, say, and answer 400 or 431 to a longer one, or close.",
        ),
        "refuse/then-accepts" => (
            "The refusal ends the accept loop, or leaves something set that affects the next connection.",
            "Handle each connection's errors in the code that serves that connection.",
        ),
        "frame/text" => (
            "The code doesn't unmask the payload, or unmasks it wrongly; or it doesn't answer the frame at all.",
            "XOR byte i of the payload with byte i mod 4 of the mask key; write 0x81, the length, and the bytes.",
        ),
        "frame/kind-text" | "frame/kind-binary" => (
            "The opcode of the answer is a constant, or that of an earlier message.",
            "Answer each message with the opcode that it came with.",
        ),
        "frame/binary-all-bytes" => (
            "The payload is decoded into a string on its way: a zero ends it, or bytes that aren't UTF-8 are replaced.",
            "Keep payloads as bytes, with their length.",
        ),
        "frame/spaces-kept" => {
            ("The code trims the text like a line of input.", "Send the bytes back as they came.")
        }
        "frame/ten-in-turn" => (
            "The connection is closed, or no longer read, after its first message.",
            "Read and answer frames in a loop, until a Close comes or the stream ends.",
        ),
        "frame/no-reserved-bits" => (
            "The first byte of the answer is built with a wrong constant, or copied from what came.",
            "Write 0x80 | opcode: 0x81 for text, 0x82 for binary.",
        ),
        "frame/complete" => (
            "The code never sets FIN, so the message never ends for the client; or a later fragment repeats the opcode.",
            "Set 0x80 in the first byte of the last frame, and opcode 0 in all frames but the first.",
        ),
        "frame/another-mask" => (
            "The code keeps the first frame's mask for all frames.",
            "Read the mask key anew from each header.",
        ),
        "frame/zero-mask" => (
            "The code takes a mask of zeros for no mask, although its four bytes are there; or it refuses such a frame.",
            "Only the MASK bit says whether a key follows, whatever the key's value is.",
        ),
        "frame/mask-continues" => (
            "The code unmasks only four bytes, or its index doesn't begin at 0 in each payload.",
            "Count i from the payload's first byte, and use byte i mod 4 of the key.",
        ),
        "frame/masked" => (
            "The client doesn't mask some frames: empty ones, long ones, or all but the first.",
            "Build each frame with one function, which sets the MASK bit and draws a key.",
        ),
        "frame/fresh-masks" => (
            "The mask key is a constant, one of a few, or drawn only once for each connection.",
            "Draw four random bytes for each frame.",
        ),
        "frame/masks-random" => (
            "One random byte is used four times, or the random number has fewer than 32 bits.",
            "Draw four random bytes, and not one.",
        ),
        "frame/masks-not-counted" => {
            ("The mask key is a counter.", "Draw four bytes from the system's random source.")
        }
        "lengths/text-0" | "lengths/binary-0" => (
            "An empty payload is taken for the end of the stream, or for no message at all.",
            "Answer an empty message with an empty message: 81 00, or 82 00.",
        ),
        "lengths/text-1" => {
            ("The code ignores very short messages.", "Answer messages of any length.")
        }
        "lengths/text-125" | "lengths/binary-125" => (
            "The code has `<` where it needs `<=`: 125 is still a length.",
            "Treat only 126 and 127 as marks of a longer length.",
        ),
        "lengths/text-126" | "lengths/binary-126" | "lengths/text-127" | "lengths/binary-127"
        | "lengths/binary-128" | "lengths/binary-255" => (
            "The code takes 126 in the second byte for the length itself; or it reads the two bytes after it low byte first.",
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
            "The code doesn't handle 127; or it reads only four of the eight bytes after it; or it takes one read for the whole payload.",
            "If the seven bits are 127, read eight more bytes, high byte first; then read until the payload is whole.",
        ),
        "lengths/fewest-bytes-125" => (
            "The code has `< 125` where it needs `<= 125`, or writes each length in 16 or 64 bits.",
            "Write a length of up to 125 in the second byte itself.",
        ),
        "lengths/fewest-bytes-126" => (
            "The code writes each length above 125 in 64 bits.",
            "Write a length of 126 to 65,535 as 126 and two bytes.",
        ),
        "lengths/fewest-bytes-65535" => (
            "The code has `< 65535` where it needs `<= 65535`, or writes each length above 125 in 64 bits.",
            "Write a length of 65,535, too, as 126 and two bytes.",
        ),
        "stream/cut-after-first-byte"
        | "stream/cut-in-length"
        | "stream/cut-in-mask"
        | "stream/cut-everywhere" => (
            "The code parses half a header as if it were whole, or throws it away when the next read comes.",
            "Parse only when the whole header is in the buffer: 2 bytes, then 2 or 8 of length, then 4 of mask.",
        ),
        "stream/cut-in-payload" | "stream/large-in-pieces" => (
            "The code takes one read for the whole payload; or it begins the mask again with each read.",
            "Read until the payload is complete, and count the mask's index over the whole payload.",
        ),
        "stream/frame-and-a-half" => (
            "The code throws away the bytes after a read's first frame, or takes the next read for the beginning of a new frame.",
            "Keep the rest of the buffer, and append the next read to it.",
        ),
        "stream/order" => (
            "The code answers each message in a separate thread or task.",
            "Answer a connection's messages one after another.",
        ),
        "ping/answered" => (
            "Opcode 9 is ignored, or answered with another opcode.",
            "On opcode 9 write a frame with opcode 10 and the same payload.",
        ),
        "ping/payload" | "ping/payload-binary" => (
            "The code sends an empty pong, or decodes the payload into a string.",
            "Copy the ping's payload, unmasked, into the pong.",
        ),
        "ping/empty" => (
            "The code ignores a ping without a payload.",
            "Answer an empty ping with an empty pong: 8a 00 from a server.",
        ),
        "ping/payload-125" => (
            "The buffer for control frames is shorter than 125 bytes, or the code takes 125 bytes for too long.",
            "Allow 125 bytes of payload in a control frame, and copy all of them.",
        ),
        "ping/not-echoed" => (
            "The code that echoes messages also handles pings.",
            "Branch on the opcode before you echo anything.",
        ),
        "ping/pong-frame" => (
            "A separate function builds pongs, and forgets a bit or the mask.",
            "Build each frame with one function.",
        ),
        "ping/in-one-write" => (
            "The code throws away the frames after the first one in a read.",
            "Parse frames until the buffer has no whole frame left, and only then read again.",
        ),
        "ping/once" => ("Both the library and your code answer.", "Answer a ping once."),
        "close/answered" | "close/in-pieces" => (
            "The code closes the socket as soon as opcode 8 comes, so a browser reports 1006; or it ignores the Close.",
            "On opcode 8 write 88 02 and the same two bytes of code, flush, and only then close the socket.",
        ),
        "close/empty" => (
            "The code answers a Close without a body with 1005, which means `no code` inside programs and is never sent; or it reads two bytes that aren't there.",
            "Answer a Close of length 0 with 88 00.",
        ),
        "close/same-code" => {
            ("The answer has a constant code.", "Copy the two bytes of the code that came.")
        }
        "close/then-ends" => (
            "The code's read loop continues after the Close, so both ends wait for each other.",
            "Leave the loop once the Close is written, and close the socket.",
        ),
        "close/without-close" => (
            "A stream that ends without a Close raises an error that ends the whole server.",
            "Treat the end of the stream as the end of that connection alone.",
        ),
        "close/answer-frame" => (
            "The Close is built by hand with a wrong bit, a code low byte first, a code that is never sent, or half a body.",
            "Write 88 02, the code's high byte, its low byte.",
        ),
        "close/code-1001" | "close/code-1003" | "close/code-1007" | "close/code-1008"
        | "close/code-1009" | "close/code-1010" | "close/code-1011" | "close/code-1012"
        | "close/code-1013" | "close/code-1014" => (
            "The list of allowed codes is too short, or the code expects only 1000.",
            "Allow 1000 to 1003, 1007 to 1014 and 3000 to 4999.",
        ),
        "close/code-3000" | "close/code-4999" => {
            ("Codes above 2999, which belong to applications, are refused.", "Allow 3000 to 4999.")
        }
        "close/bad-code-1005"
        | "close/bad-code-1006"
        | "close/bad-code-1015"
        | "close/bad-code-1004" => (
            "The close code is sent back unchecked, although it's reserved.",
            "Answer the codes 1004, 1005, 1006 and 1015 with 1002.",
        ),
        "close/one-byte" => (
            "The close code is read without checking the body's length, or the body is sent back unchecked.",
            "Answer a body of one byte with 1002.",
        ),
        "close/reason" => (
            "The code cuts the reason at a fixed number of bytes, inside a character; or it doesn't expect a reason.",
            "Send the code back without a reason.",
        ),
        "close/reason-123" => (
            "The buffer for the reason is shorter than 123 bytes, or cuts the reason inside a character.",
            "Allow a body of 125 bytes, and send the code back without a reason.",
        ),
        "close/reason-not-utf8" => (
            "The code sends the reason back without checking it.",
            "Check the reason as you check texts, and answer 1007.",
        ),
        "close/nothing-after" => (
            "Another thread, or a queue, writes its waiting messages after the Close.",
            "Under the lock for writing, note that the Close was sent, and then write nothing more.",
        ),
        "close/data-after" => (
            "The loop continues after the Close, and echoes the messages that came after it.",
            "Leave the loop when a Close comes, even if the buffer has more frames.",
        ),
        "close/once" => (
            "The code answers each Close; or both the library and your code answer.",
            "Answer the first Close, and leave the loop.",
        ),
        "fragments/two" | "fragments/three" | "fragments/binary" => (
            "The code takes each frame for a message; or it doesn't know opcode 0, and ignores or refuses it.",
            "Keep the opcode of the first frame, append each payload, and answer when FIN comes.",
        ),
        "fragments/empty-first" | "fragments/empty-middle" => (
            "The code takes an empty fragment for the end of the message, or refuses it.",
            "Only FIN says where a message ends.",
        ),
        "fragments/empty-last" => (
            "The code skips an empty frame before it looks at FIN.",
            "Look at FIN for any length of the payload: a program that streams often ends with an empty fragment.",
        ),
        "fragments/hundred" => (
            "The code keeps only a fixed number of fragments for a message.",
            "Limit a message by its bytes, and its fragments by thousands rather than tens.",
        ),
        "fragments/in-one-write" => (
            "The code throws away the bytes after a read's first frame.",
            "Parse frames until the buffer has no whole frame left, and only then read again.",
        ),
        "fragments/pong-at-once" => (
            "The ping waits in a queue until the message is complete.",
            "Answer a ping as soon as you've read it.",
        ),
        "fragments/ping-between" => (
            "The code appends the ping's payload to the message, drops the message, or refuses the ping.",
            "Handle control frames separately, before you touch the unfinished message.",
        ),
        "fragments/then-another" => (
            "The code doesn't clear the first message's payload or its opcode.",
            "Clear both once a frame with FIN has come.",
        ),
        "utf8/byte-order-mark" => (
            "The decoder takes U+FEFF for a byte order mark, and drops it.",
            "Use a decoder that keeps it (`ignoreBOM: true`, `utf-8` and not `utf-8-sig`).",
        ),
        "utf8/nul" => (
            "A zero byte ends the text, or counts as invalid.",
            "Keep the length beside the bytes; U+0000 is a character.",
        ),
        "utf8/two-bytes" | "utf8/three-bytes" => (
            "The code decodes the text as Latin-1 or ASCII.",
            "Check the bytes, and then echo them unchanged.",
        ),
        "utf8/four-bytes" | "utf8/edges" | "utf8/noncharacters" => (
            "The decoder refuses characters of four bytes, for example because its `utf8` ends at U+FFFF.",
            "Allow each character up to U+10FFFF.",
        ),
        "utf8/surrogate" => (
            "The decoder accepts halves of UTF-16 pairs.",
            "Refuse ed a0 to ed bf: use your language's strict decoder.",
        ),
        "utf8/overlong-2" | "utf8/overlong-3" | "utf8/overlong-4" => (
            "The decoder joins the bits, but doesn't check whether the character has a shorter form.",
            "Refuse c0, c1, e0 before 80 to 9f, and f0 before 80 to 8f: use your language's strict decoder.",
        ),
        "utf8/beyond-the-last" => (
            "The decoder doesn't check that Unicode ends at U+10FFFF.",
            "Refuse f4 before 90 and all above.",
        ),
        "utf8/cut-at-the-end" | "utf8/cut-in-last-fragment" => (
            "The decoder waits for the rest of the character, and the code doesn't check at the message's end whether it came.",
            "At FIN, fail if a character is incomplete (`final=True`, `decode()` without `stream`).",
        ),
        "utf8/code-1007" => (
            "The code drops the connection, or closes it with the same code for all errors.",
            "Close with 1007.",
        ),
        "rules/unmasked-empty" | "rules/unmasked-ping" | "rules/unmasked-later" => (
            "The code checks the MASK bit on some frames only.",
            "Check it in each header, before you look at the opcode.",
        ),
        "rules/length-top-bit" => (
            "The code reads the 64-bit length as a signed number, or reads only its lower half.",
            "Read all eight bytes, and close with 1002 if the first is 0x80 or above.",
        ),
        "rules/close-code" => (
            "The code closes the socket at each error, without a Close.",
            "Send a Close with 1002 before you close the socket.",
        ),
        "rules/others-unharmed" => (
            "An error on one connection ends the accept loop or the process, or spoils something that all connections share.",
            "Catch errors where each connection is served.",
        ),
        "many/two-at-once" => (
            "The accept loop also serves the connection; the server has room for only one client, or stops listening while it serves one; or all connections share one variable for their socket.",
            "Keep on accepting, and give each connection a thread, a task, or a place in an event loop, with variables of its own.",
        ),
        "many/crowd" => (
            "The server has room for only a few connections, and drops others without an answer; or it mixes up the messages of many.",
            "Make room for more, or answer `503 Service Unavailable` when there's none.",
        ),
        "many/own-messages" => (
            "The server keeps messages in a variable that all connections share.",
            "Keep each connection's state separately.",
        ),
        "many/silent-in-mid-frame" => (
            "The server holds a lock while it reads a frame, or one thread reads from all sockets and blocks.",
            "Hold no lock during a read.",
        ),
        "many/never-reads" => (
            "The server holds a lock while it writes a message, or one thread writes to all sockets and blocks.",
            "Hold no lock that other connections need during a write, and limit how long a write may take.",
        ),
        "many/idle" => (
            "The table of connections is small, and a new connection takes an old one's place; or the server drops idle connections too soon.",
            "Free a connection's place when it ends, and use only free places.",
        ),
        "policy/origin-own" => (
            "The server compares Origin with Host as a whole, although Origin begins with the scheme; or it refuses each request that has an Origin, as every browser's has.",
            "Compare Origin with `http://` or `https://` and the Host, and answer 403 to other pages alone.",
        ),
        "deflate/empty" => (
            "The empty message is compressed to no byte at all.",
            "Compress to the single byte 00 (RFC 7692 §7.2.3.6), or send it without RSV1.",
        ),
        "deflate/after-final-block" => (
            "After a final block the inflater has ended, and it's used again without a reset.",
            "Reset the inflater after a final block, but keep its window.",
        ),
        "deflate/takeover" | "deflate/far-back" => (
            "The code makes a new inflater for each message, although the answer didn't say `client_no_context_takeover`.",
            "Keep one inflater for the connection, or give each new one the last 32 KiB as its dictionary.",
        ),
        "deflate/fragments" => (
            "The code inflates each fragment separately, with the four bytes after each.",
            "Append the four bytes once, after the last fragment.",
        ),
        "deflate/uncompressed" => (
            "Once compression is agreed on, the code inflates every message.",
            "Inflate only messages whose first frame has RSV1.",
        ),
        "deflate/rsv1-first-only" => {
            ("RSV1 is set on each fragment.", "Set it only on the first frame of a message.")
        }
        "deflate/pong-uncompressed" | "deflate/close-uncompressed" => (
            "The code that compresses messages also handles control frames.",
            "Send control frames uncompressed, without RSV1.",
        ),
        "deflate/no-takeover-kept" => (
            "The answer says `server_no_context_takeover`, but the compressor keeps its window.",
            "Reset the compressor after each message.",
        ),
        "deflate/window-kept" => (
            "The answer says `server_max_window_bits`, but the compressor keeps its window of 32 KiB.",
            "Make the compressor with the bits of your answer.",
        ),
        "deflate/cut-short" => (
            "The code doesn't treat it as an error when the inflater wants more bytes.",
            "Append 03 00, an empty final block, after the four bytes. If the inflater doesn't end there, close with 1007.",
        ),
        "deflate/not-utf8" => (
            "UTF-8 is checked before the text is inflated, or not at all.",
            "Check the inflated text.",
        ),
        "deflate/fallback" | "deflate/on-two-lines" => (
            "The code looks only at the first offer; or it refuses the whole request because of one bad offer.",
            "Go through all offers, on all lines, and accept the first one that you support.",
        ),
        "deflate/offer-legal" => (
            "The offer has an unknown parameter, one twice, or a value that isn't a number from 8 to 15.",
            "Offer `permessage-deflate` alone, or with `client_max_window_bits`.",
        ),
        "deflate/server-window-8" => (
            "zlib turns 8 bits into 9, or throws an exception.",
            "Decline an offer of 8 bits, or answer 8 and use a window of 256 bytes.",
        ),
        "deflate/client-window"
        | "deflate/client-window-value"
        | "deflate/no-client-window-unasked" => (
            "The code answers `client_max_window_bits` although it wasn't offered, or with a larger value than offered.",
            "Answer it only if it was offered, with at most the offered value.",
        ),
        _ => return None,
    })
}
