"""Compares the frames that tshark found with those that `explain` told: order, bits, lengths and mask keys."""

import re
import sys


def dissected(path, port):
    """From tshark: a line for each segment, in which each field may stand several times."""
    for line in open(path):
        source, *fields = line.rstrip("\n").split("|")
        fins, rsvs, opcodes, masks, lengths, long, longer, keys = ([x for x in f.split(",") if x] for f in fields)
        for fin, rsv, opcode, mask, length in zip(fins, rsvs, opcodes, masks, lengths):
            length = int({"126": long, "127": longer}[length].pop(0) if length in ("126", "127") else length)
            key = keys.pop(0) if mask in ("1", "True") else ""
            sender = "server" if source == port else "client"
            yield sender, fin in ("1", "True"), int(rsv, 16), int(opcode), length, key


def told(path):
    """From the lines that 07_tap wrote."""
    bits = r"\.*([01]+)\.*"
    for account in open(path, encoding="utf-8").read().split("\n\n"):
        header = re.match(r"#1 (client|server) → \w+, byte \d+: \w+, (\d+) bytes", account)
        if not header:
            continue
        field = lambda name: int(re.search(rf"^  {bits}  {name}:", account, re.M)[1], 2)
        key = re.search(r"^  mask key  ((?:[0-9a-f]{2} ){3}[0-9a-f]{2}):", account, re.M)
        assert bool(key) == bool(field("MASK")), account
        rsv = field("RSV1") << 2 | field("RSV2-3")
        key = key[1].replace(" ", "") if key else ""
        yield header[1], bool(field("FIN")), rsv, field("opcode"), int(header[2]), key


def main():
    port, recorded, explained = sys.argv[1:]
    theirs, ours = list(dissected(recorded, port)), list(told(explained))
    wrong = 0
    for sender in ("client", "server"):
        of_theirs, of_ours = ([frame for frame in frames if frame[0] == sender] for frames in (theirs, ours))
        if len(of_theirs) != len(of_ours):
            wrong += 1
            print(f"FAILED: from the {sender}, tshark found {len(of_theirs)} frames, explain told {len(of_ours)}")
        for number, (one, other) in enumerate(zip(of_theirs, of_ours)):
            if one != other:
                wrong += 1
                print(f"FAILED: frame {number} of the {sender}: tshark {one}, explain {other}")
    print(f"{len(ours)} frames compared, {wrong} disagreements")
    sys.exit(wrong > 0 or len(ours) < 30)


main()
