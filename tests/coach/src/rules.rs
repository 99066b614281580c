//! Checks a frame's header before its payload is read (RFC 6455 §5.1, §5.2, §5.5).

use crate::switch::{Switch::*, has};
use crate::wire::{self, Header};

/// The close code for a header that breaks a rule. `room` is how long the message may still become.
pub fn check(header: &Header, server: bool, deflate: bool, room: usize) -> Result<(), u16> {
    let unless = |holds: bool, switch| if holds || has(switch) { Ok(()) } else { Err(1002_u16) };
    if has(TalksOnInstead) && !matches!(header.opcode, 0..=2 | wire::CLOSE..=wire::PONG) {
        return Ok(());
    }
    let control = header.opcode >= wire::CLOSE;
    if header.rsv & wire::RSV1 != 0 {
        match header.opcode {
            wire::TEXT | wire::BINARY => unless(deflate, RsvOneAccepted)?,
            wire::CONTINUATION => unless(has(RsvOneAccepted), RsvOneOnContinuationAccepted)?,
            _ => unless(has(RsvOneAccepted), RsvOneOnControlAccepted)?,
        }
    }
    let pong = header.opcode == wire::PONG;
    unless(header.rsv & 2 == 0 || pong && has(RsvOnPongAccepted), RsvTwoAccepted)?;
    unless(header.rsv & 1 == 0, RsvThreeAccepted)?;
    unless(!(3..=7).contains(&header.opcode), UnknownDataIgnored)?;
    unless(header.opcode <= wire::PONG, UnknownControlIgnored)?;
    if server {
        unless(header.key.is_some() || pong && has(UnmaskedPongAccepted), UnmaskedAccepted)?;
        if header.key == Some([0; 4]) && has(ZeroMaskRefused) {
            return Err(1002);
        }
    } else {
        unless(header.key.is_none(), MaskedAccepted)?;
    }
    if control {
        unless(header.fin, FragmentedControlAccepted)?;
        unless(header.length <= 125, LongControlAccepted)?;
        if header.length == 125 && has(ControlOf125Refused) {
            return Err(1002);
        }
    }
    let ping = header.opcode == wire::PING;
    unless(!header.wasteful || ping && has(WastefulPingAccepted), WastefulLengthAccepted)?;
    unless(header.length < 1 << 63, TopBitAccepted)?;
    if header.length & !(1 << 63) > room as u64 { Err(1009) } else { Ok(()) }
}

/// The close code for the body of a Close that breaks a rule (§5.5.1, §7.4).
pub fn check_close(body: &[u8]) -> Result<(), u16> {
    let refused = Err(1002);
    let [high, low, reason @ ..] = body else {
        return if body.is_empty() || has(CloseOfOneByteAccepted) { Ok(()) } else { refused };
    };
    match u16::from_be_bytes([*high, *low]) {
        0..=999 if !has(CloseBelow1000Accepted) => return refused,
        1004..=1006 | 1015 if !has(CloseReservedAccepted) => return refused,
        1016..=2999 if !has(CloseUnassignedAccepted) => return refused,
        1012..=1014 if has(CloseRegisteredRefused) => return refused,
        1001..=1011 if has(CloseOnly1000Accepted) => return refused,
        3000..=4999 if has(ClosePrivateRefused) => return refused,
        5000.. if !has(CloseAbove4999Accepted) => return refused,
        _ => {}
    }
    if std::str::from_utf8(reason).is_err() && !has(CloseReasonUnchecked) {
        return Err(1007);
    }
    Ok(())
}
