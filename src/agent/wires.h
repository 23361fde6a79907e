#pragma once

#include <vector>

#include "base/hash.h"
#include "boolean/engine.h"
#include "mpc/program.h"
#include "tls/hash_kind.h"

namespace flexroom::agent {

/// Public values as input bits and opened output bits as values; one byte (0/1) a bit, bit 0 of a
/// byte first (tls-in-mpc.md §0.3(8)).

Bytes bytes_of_bits(const std::vector<uint8_t>& bits);
std::vector<uint8_t> bits_of_bytes(ByteView bytes);
Digest digest_of_bits(const std::vector<uint8_t>& bits);  // 256 of them
/// A digest or chaining value of the suite's hash.
tls::HashValue hash_value_of_bits(const std::vector<uint8_t>& bits);
/// 128 bits a block, between byte order (least significant bit of a byte first) and GHASH order.
/// The map is its own inverse.
prep::AuthBits ghash_order(const prep::AuthBits& bits);
/// Every group of the program, empty.
boolean::OnlineInputs empty_inputs(const mpc::Program& program);

}  // namespace flexroom::agent
