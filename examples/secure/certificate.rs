//! A self-signed certificate, made by hand, for trying out a server or a client, and for tests.
//!
//! A certificate says "this key belongs to these names, from one date to another", and an authority
//! signs it (RFC 5280 §4.1). This one is signed with its own key, so a client must be given it as a root.
//!
//! ```text
//! SEQUENCE                               each item: a tag, a length, a value (DER)
//!   SEQUENCE  what is signed: version, serial number, issuer, validity, subject, public key, extensions
//!   SEQUENCE  how it is signed: ecdsa-with-SHA256
//!   BIT STRING  the signature
//! ```

use base64::prelude::{BASE64_STANDARD, Engine};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// A certificate and its private key, in PEM.
pub struct SelfSigned {
    pub certificate: String,
    pub key: String,
}

/// The first and last date of a certificate: year, month, day, hour, minute, second, and Z for UTC.
pub const VALID: [&str; 2] = ["250101000000Z", "491231235959Z"];

/// Makes a self-signed certificate for these host names and addresses, and its key.
pub fn self_signed(names: &[&str], valid: [&str; 2]) -> SelfSigned {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("randomness");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key");
    let mut serial = [1; 16];
    random.fill(&mut serial[1..]).expect("randomness");

    let name = sequence(&[&der(SET, &[&sequence(&[COMMON_NAME, &der(UTF8, &[b"ws101"])])])]);
    let alternatives: Vec<_> = names.iter().map(|name| alternative(name)).collect();
    let alternatives = der(SEQUENCE, &alternatives.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let signed = sequence(&[
        &der(0xa0, &[&der(INTEGER, &[&[2]])]), // version 3
        &der(INTEGER, &[&serial]),
        &sequence(&[ECDSA_WITH_SHA256]),
        &name,
        &sequence(&[
            &der(UTC_TIME, &[valid[0].as_bytes()]),
            &der(UTC_TIME, &[valid[1].as_bytes()]),
        ]),
        &name, // its own issuer
        &sequence(&[
            &sequence(&[EC_PUBLIC_KEY, P_256]),
            &der(BIT_STRING, &[&[0], pair.public_key().as_ref()]),
        ]),
        &der(
            0xa3,
            &[&sequence(&[
                &sequence(&[ALTERNATIVE_NAMES, &der(OCTET_STRING, &[&alternatives])]),
                // This certificate may not sign others (it isn't a CA). A server must not present a
                // CA's certificate as its own.
                &sequence(&[BASIC_CONSTRAINTS, CRITICAL, &der(OCTET_STRING, &[&sequence(&[])])]),
                &sequence(&[KEY_USAGE, &der(OCTET_STRING, &[&sequence(&[SERVER, CLIENT])])]),
            ])],
        ),
    ]);
    let signature = pair.sign(&random, &signed).expect("a signature");
    let certificate = sequence(&[
        &signed,
        &sequence(&[ECDSA_WITH_SHA256]),
        &der(BIT_STRING, &[&[0], signature.as_ref()]),
    ]);
    SelfSigned {
        certificate: pem("CERTIFICATE", &certificate),
        key: pem("PRIVATE KEY", key.as_ref()),
    }
}

// The tags that this file uses.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

// Object identifiers, with their tag and length.
const ECDSA_WITH_SHA256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const EC_PUBLIC_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
const P_256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
const ALTERNATIVE_NAMES: &[u8] = b"\x06\x03\x55\x1d\x11";
const BASIC_CONSTRAINTS: &[u8] = b"\x06\x03\x55\x1d\x13";
const KEY_USAGE: &[u8] = b"\x06\x03\x55\x1d\x25";
const SERVER: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
const CLIENT: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
/// The boolean `true`, which marks an extension as critical.
const CRITICAL: &[u8] = b"\x01\x01\xff";

/// Encodes an item in DER: the tag, the length in as few bytes as possible, and the value.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let mut out = vec![tag];
    match value.len() {
        length @ 0..0x80 => out.push(length as u8),
        length @ 0x80..0x100 => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(value);
    out
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(SEQUENCE, parts)
}

/// Encodes a name for which the certificate is valid: an IP address or a host name.
fn alternative(name: &str) -> Vec<u8> {
    match name.parse() {
        Ok(std::net::IpAddr::V4(address)) => der(0x87, &[&address.octets()]),
        Ok(std::net::IpAddr::V6(address)) => der(0x87, &[&address.octets()]),
        Err(_) => der(0x82, &[name.as_bytes()]),
    }
}

fn pem(title: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {title}-----\n{}\n-----END {title}-----\n", lines.join("\n"))
}
