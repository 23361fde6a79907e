#pragma once

#include "circuits/handshake.h"
#include "circuits/text.h"

namespace flexroom::circuits {

/// The circuits of a sealed answer (tls-in-mpc.md §3.4 GC-C, §4.2, §4.5, §5.6, §5.7) beside the
/// outlines. They depend on sizes alone and are garbled before the service is contacted.

/// GC-C: from the outer state of the server's traffic secret to its keys, with what every record of
/// the answer needs: E_K(J0) under its tag and the first block of its keystream. A circuit a
/// generation: sequence numbers start at 0.
///
/// In    dyn  "kout_s_ap" [a state of the hash]
///       pub  "kw_key", "kw_iv": round words of the outer block of the inner digest of key and iv
///            under kin_s_ap
///       zero "r_s" [128]: the random R of the server's GHASH powers
/// Out   open "d_s" [128]: H xor R
///       keep "iv_s" [96], "round_keys_s" [1 408; AES-256 1 920]
///       keep "tag_masks" [128 records], "first_blocks" [128 records]: counters 1 and 2 of records
///            0 .. records - 1
/// Size  2 pubmsg + 6 400 (less 341 for unused words) + 10 240 a record; AES-256 2 pubmsg + 8 832
///       + 14 336 a record
mpc::Circuit gc_c(size_t records, const GcmSuite& suite = aes128_gcm());

/// The server's next traffic secret (RFC 8446 §7.2, tls-in-mpc.md §3.6), from the states of the one
/// before; its keys are those of another gc_c.
///
/// In    dyn  "kout" [a state of the hash]
///       pub  "kw_next": round words of the outer block of the inner digest of "traffic upd"
/// Out   open "kin_next", keep "kout_next" [a state each]
/// Size  pubmsg + 2 kpad: 59 496; SHA-384 152 327
mpc::Circuit key_update_circuit(const HashCircuit& hash = sha256_hash());

/// Keystream of records whose place is known only when they are there (§4.2).
///
/// In    dyn  "iv_s" [96], "round_keys_s" [1 408; AES-256 1 920]
///       pub  "place" [28 blocks]: sequence number, 16 bits, then counter, 12 bits, least
///            significant first
/// Out   keep "keystream" [128 blocks]
/// Size  5 120 ANDs a block; AES-256 7 168
inline constexpr size_t kPlaceBits = 28, kSequenceBits = 16;
mpc::Circuit keystream_circuit(size_t blocks, const GcmSuite& suite = aes128_gcm());

/// Bytes that are opened only if all of them are in `set` (§5.7): outside of it nothing but that
/// bit.
///
/// In    dyn  "text" [8 bytes]
/// Out   open "ok" [1], "bytes" [8 bytes]: 0 unless ok
/// Size  21 ANDs a byte for digits, 32 for a chunk-size line, less one
mpc::Circuit gate_circuit(size_t bytes, const ByteSet& set);

/// The class bit (§5.6, phase 5): every byte in its set, of all values together.
///
/// In    dyn  "text" [8 * sets.size()]
/// Out   open "ok" [1]
/// The sets must not all be full: there is no wire then.
mpc::Circuit class_circuit(const std::vector<ByteSet>& sets);

}  // namespace flexroom::circuits
