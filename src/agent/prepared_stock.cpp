#include "agent/prepared_stock.h"

#include <algorithm>
#include <iterator>

#include "base/ct.h"
#include "base/error.h"

namespace flexroom::agent {
namespace {

constexpr std::string_view kStockLabel = "sealed/left over";

}  // namespace

// Ids are public, and hold fresh nonces of all members: equal histories are equal stocks.
void PreparedStock::note(std::string_view what, const Digest& id, uint64_t count) {
  history_ = RandomOracle("left over", RoScope{})
                 .field(history_)
                 .field(what)
                 .field(id)
                 .field(count)
                 .digest();
}

void PreparedStock::put(std::string_view name, std::unique_ptr<boolean::Instance> instance) {
  FLEXROOM_ASSERT(instance != nullptr);
  note(name, instance->id(), 1);
  circuits_[{std::string(name), instance->program().digest}].push_back(std::move(instance));
}

void PreparedStock::put_products(std::vector<prep::VecTriple> products) {
  note("products", {}, products.size());
  std::move(products.begin(), products.end(), std::back_inserter(products_));
}

void PreparedStock::agree(net::Party& party) const {
  const Digest own = RandomOracle(kStockLabel, party.scope(), party.next_counter(kStockLabel))
                         .field(history_)
                         .digest();
  for (const PartyId j : party.peers()) party.send(j, kStockLabel, own);
  for (const PartyId j : party.peers()) {
    if (ct_equal(party.receive(j, kStockLabel, own.size()), own)) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, kStockLabel,
                        "the member has other circuits left over from the answers before", j);
  }
}

std::unique_ptr<boolean::Instance> PreparedStock::take(std::string_view name,
                                                       const mpc::Program& program) {
  const auto found = circuits_.find({std::string(name), program.digest});
  if (found == circuits_.end() || found->second.empty()) return nullptr;
  std::unique_ptr<boolean::Instance> out = std::move(found->second.front());
  found->second.pop_front();
  note("take", out->id(), 1);
  return out;
}

std::vector<prep::VecTriple> PreparedStock::take_products(size_t most) {
  const size_t count = std::min(most, products_.size());
  std::vector<prep::VecTriple> out;
  const auto begin = products_.end() - static_cast<ptrdiff_t>(count);
  std::move(begin, products_.end(), std::back_inserter(out));
  products_.erase(begin, products_.end());
  note("take products", {}, count);
  return out;
}

size_t PreparedStock::count(std::string_view name, const mpc::Program& program) const {
  const auto found = circuits_.find({std::string(name), program.digest});
  return found == circuits_.end() ? 0 : found->second.size();
}

void PreparedStock::erase() {
  circuits_.clear();
  products_.clear();
  note("erase", {}, 0);
}

}  // namespace flexroom::agent
