#include "net/sub_mesh.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"

namespace flexroom::net {

SubMesh::SubMesh(Transport& whole, std::vector<PartyId> members)
    : whole_(whole), members_(std::move(members)) {
  FLEXROOM_ASSERT(members_.size() >= 2);
  for (size_t k = 0; k < members_.size(); ++k) {
    FLEXROOM_ASSERT(members_[k] < whole.num_parties());
    FLEXROOM_ASSERT(std::count(members_.begin(), members_.end(), members_[k]) == 1);
  }
  const auto own = std::find(members_.begin(), members_.end(), whole.self());
  FLEXROOM_ASSERT(own != members_.end());
  self_ = static_cast<PartyId>(own - members_.begin());
}

// Whom an error names, in the numbers of this mesh; nobody, if it is none of these.
template <typename Act>
auto SubMesh::translated(Act act) const {
  try {
    return act();
  } catch (const ProtocolAbort& abort) {
    std::optional<PartyId> peer;
    for (PartyId k = 0; abort.peer() && k < members_.size(); ++k) {
      if (members_[k] == *abort.peer()) peer = k;
    }
    throw ProtocolAbort(abort.code(), abort.operation(), abort.detail(), peer);
  }
}

void SubMesh::send(PartyId to, Bytes frame) {
  translated([&] { whole_.send(members_.at(to), std::move(frame)); });
}

Bytes SubMesh::receive(PartyId from, size_t max_bytes) {
  return translated([&] { return whole_.receive(members_.at(from), max_bytes); });
}

void SubMesh::check() {
  translated([&] { whole_.check(); });
}

}  // namespace flexroom::net
