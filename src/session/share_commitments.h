#pragma once

#include "mpc/circuit.h"
#include "prep/prep.h"
#include "session/member_session.h"
#include "session/secret_file.h"

namespace flexroom::session {

/// Takes in the XOR shares of an issuer whose files carry commitments (tls-in-mpc.md §5.13).
///
/// Protocol   one boolean instance: SHA-256 of every member's salt and share, private inputs,
///            against its commitment; one bit a member opened; the XOR of the shares kept
/// In         `file` of this member; name, length and commitments equal at all (they stand in the
///            proposal)
/// Guarantee  the value is the one the issuer committed to; of a mismatch nothing is learned but
///            whose it is. Nothing about the value is checked here
/// Cost       22,573 ANDs at most a 64-byte block and member
/// Aborts     kRefusedByRule naming the member whose file is not the one the issuer made; burns
///            nothing, so that no member can void the issuer's credential
prep::AuthBits open_committed_shares(MemberSession& session, const SecretFile& file);

/// That instance's circuit.
///
/// In    priv "share I" of member I [8 (16 + length)]: salt and share
/// Out   open "matches" [a bit a member], keep "value" [8 length]
mpc::Circuit commitment_circuit(uint32_t length, const std::vector<Digest>& commitments);

/// What an issuer commits to of a member's share: SHA-256 of salt and share.
Digest share_commitment(const SecretBytes& salt, const SecretBytes& share);

/// Of the list, for records and marks.
Digest digest_of(const std::vector<Digest>& commitments);

/// Throws InputError when this member's own share is not the one committed to, or the list is not
/// one entry for each member.
void check_own_commitment(const SecretFile& file, PartyId self, size_t num_members,
                          std::string_view place);

}  // namespace flexroom::session
