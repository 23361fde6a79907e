#include "prep/rows.h"

#include <algorithm>
#include <array>
#include <deque>
#include <numeric>

#include "base/error.h"
#include "base/secret.h"
#include "math/gf128.h"
#include "prep/field_ops.h"
#include "prep/joint_input.h"
#include "prep/open.h"
#include "prep/zero_test.h"

namespace flexroom::prep {
namespace {

constexpr size_t kFieldBits = 128;

/// `value` times c elementwise; a copy.
AuthField scaled(const AuthField& value, std::span<const Block> c) {
  AuthField out = value.clone();
  scale(out, c);
  return out;
}

// c + e b + f a + e f = (a + e)(b + f), elementwise.
AuthField product_of(const AuthField& a, const AuthField& b, const AuthField& c,
                     std::span<const Block> e, std::span<const Block> f, const Block& delta) {
  AuthField out = c.clone();
  add(out, scaled(b, e));
  add(out, scaled(a, f));
  std::vector<Block> constants(e.size());
  for (size_t t = 0; t < e.size(); ++t) constants[t] = math::gf_mul(e[t], f[t]);
  add_constants(out, constants, delta);
  return out;
}

}  // namespace

AuthField row_products(net::Party& party, const Block& delta, CombinedRow combined, RowKey key,
                       std::span<const VecTriple> products) {
  const size_t count = products.size();
  FLEXROOM_ASSERT(combined.value.size() == count && key.value.size() == count);
  const AuthField a = join(products, &VecTriple::a), b = join(products, &VecTriple::b);
  AuthField masked = std::move(combined.value);
  add(masked, a);
  add(key.value, b);
  masked.append(key.value);
  const std::vector<Block> opened = open_field(party, delta, masked, "rows/product");
  const std::span<const Block> all(opened);
  return product_of(a, b, join(products, &VecTriple::c), all.first(count), all.last(count), delta);
}

// --- Load ---------------------------------------------------------------------------------------

class RowLoad {
 public:
  RowLoad(net::Party& party, Source& source, Safety& safety, std::span<const HeldRow> rows,
          std::vector<bool> holders)
      : party_(party), source_(source), batch_(safety), rows_(rows), holders_(std::move(holders)) {}

  std::vector<AuthBits> run() {
    Unchecked<AuthBits> bits = bring_together();
    const RowVerdict passed = test(bits.value_);
    const AuthBits checked = std::move(bits).release(passed);
    std::vector<AuthBits> out;
    size_t at = 0;
    for (const HeldRow& row : rows_) {  // rho, tau and k stay behind
      out.push_back(checked.slice(kFieldBits * (at + 1), row.bits));
      at += row_blocks(row.bits);
    }
    return out;
  }

 private:
  // Step 2: everybody's row, re-masked.
  Unchecked<AuthBits> bring_together() const {
    size_t blocks = 0;
    for (const HeldRow& row : rows_) blocks += row_blocks(row.bits);
    const bool holds = holders_.at(party_.id());
    SecretBytes own(holds ? 16 * blocks : 0);
    auto at = own.writable().begin();
    for (const HeldRow& row : rows_) {
      FLEXROOM_ASSERT(row.row.size() == (holds ? row_bytes(row.bits) : 0));
      at = std::copy(row.row.begin(), row.row.end(), at);
    }
    return Unchecked<AuthBits>(
        joint_input(party_, source_, holders_, own.reveal(), kFieldBits * blocks, "rows/re-mask"));
  }

  // Step 3.
  RowVerdict test(const AuthBits& bits) {
    std::vector<VecTriple> products =
        source_.vec_triples(std::vector<size_t>(rows_.size() + 1, 1));  // the last is for ZERO
    VecTriple of_zero = std::move(products.back());
    products.pop_back();
    // After the rows were fixed: who knew chi could make rows that pass.
    const Digest coin = party_.coin("rows/chi");
    AuthField tags;
    CombinedRow combined;
    RowKey keys;
    combine_all(pack(bits), load_block(coin.data()), combined, tags, keys);
    AuthField values =
        row_products(party_, source_.delta(), std::move(combined), std::move(keys), products);
    add(values, tags);
    std::vector<Block> weights(rows_.size());
    math::ChiStream(load_block(coin.data() + 16)).fill(0, weights);
    std::vector<VecTriple> last;
    last.push_back(std::move(of_zero));
    const bool zero = zero_test_field(party_, source_.delta(), combine(values, weights),
                                      std::move(last), batch_, "rows");
    batch_.finished();  // the verdict is known; what it means is counted by its code
    if (!zero) {
      throw ProtocolAbort(AbortCode::kRowTag, "rows",
                          "what the members hold of the secrets does not fit together");
    }
    return {};
  }

  void combine_all(const AuthField& blocks, const Block& seed, CombinedRow& combined,
                   AuthField& tags, RowKey& keys) const {
    const math::ChiStream stream(seed);
    size_t at = 0;
    for (const HeldRow& row : rows_) {
      const size_t count = row_value_blocks(row.bits) + 1;
      std::vector<Block> chi(count);
      stream.fill(at, chi);
      chi[0] = Block(0, 1);  // the verdict is then exactly independent of the value
      combined.value.append(combine(blocks, chi, at));
      tags.append(combine(blocks, chi, at + count));
      keys.value.append(blocks.slice(at + 2 * count, 1));
      at += row_blocks(row.bits);
    }
  }

  net::Party& party_;
  Source& source_;
  BatchInFlight batch_;
  std::span<const HeldRow> rows_;
  const std::vector<bool> holders_;
};

std::vector<AuthBits> load_rows(net::Party& party, Source& source, Safety& safety,
                                std::span<const HeldRow> rows, std::vector<bool> holders) {
  if (rows.empty()) return {};
  if (holders.empty()) holders.assign(party.num_parties(), true);
  FLEXROOM_ASSERT(holders.size() == party.num_parties());
  return RowLoad(party, source, safety, rows, std::move(holders)).run();
}

// --- Store --------------------------------------------------------------------------------------

namespace {

// x_0..x_L of each value, and its k.
struct Fresh {
  std::vector<AuthField> x;
  AuthField keys;
};

Fresh draw(net::Party& party, Source& source, std::span<const AuthBits* const> values) {
  AuthBits random = source.random_bits(2 * kFieldBits * values.size());
  Fresh out;
  for (size_t s = 0; s < values.size(); ++s) {
    const AuthBits& value = *values[s];
    AuthBits bits = random.slice(2 * kFieldBits * s, kFieldBits);  // rho
    bits.append(value);
    const size_t padding = kFieldBits * (row_value_blocks(value.size()) + 1) - bits.size();
    bits.append(AuthBits(party.id(), party.num_parties(), padding));
    out.x.push_back(pack(bits));
    out.keys.append(pack(random.slice(kFieldBits * (2 * s + 1), kFieldBits)));
  }
  return out;
}

// tau_b = k x_b of each value: every set of products has one factor b, and k + b is opened once.
std::vector<AuthField> tags_of(net::Party& party, Source& source, const Fresh& fresh) {
  std::vector<size_t> counts;
  for (const AuthField& x : fresh.x) counts.push_back(x.size());
  const std::vector<VecTriple> products = source.vec_triples(counts);
  AuthField masked = fresh.keys.clone();
  add(masked, join(products, &VecTriple::b));
  for (size_t s = 0; s < fresh.x.size(); ++s) {
    AuthField x = fresh.x[s].clone();
    add(x, products[s].a);
    masked.append(x);
  }
  const std::vector<Block> opened = open_field(party, source.delta(), masked, "rows/tags");
  std::vector<AuthField> out;
  size_t at = fresh.x.size();
  for (size_t s = 0; s < fresh.x.size(); ++s) {
    const std::vector<Block> f(counts[s], opened[s]);
    AuthField b;
    for (size_t h = 0; h < counts[s]; ++h) b.append(products[s].b);
    out.push_back(product_of(products[s].a, b, products[s].c,
                             std::span(opened).subspan(at, counts[s]), f, source.delta()));
    at += counts[s];
  }
  return out;
}

// Random rows of all owners but the last, whose row is the string plus their sum; each to its
// owner alone.
SecretBytes deal(net::Party& party, Source& source, AuthField strings,
                 const std::vector<PartyId>& owners) {
  const size_t count = strings.size();
  std::vector<AuthField> rows;
  for (size_t t = 0; t + 1 < owners.size(); ++t) {
    rows.push_back(pack(source.random_bits(kFieldBits * count)));
    add(strings, rows.back());
  }
  rows.push_back(std::move(strings));
  std::deque<FieldOpening> openings;
  FieldOpening* mine = nullptr;
  for (size_t t = 0; t < owners.size(); ++t) {
    openings.emplace_back(party, source.delta(), rows[t], "rows/own row");
    if (owners[t] == party.id()) {
      mine = &openings.back();
    } else {
      openings.back().send_to(owners[t]);
    }
  }
  if (mine == nullptr) return {};
  mine->receive_from_all();
  std::vector<Block> row = mine->result();
  SecretBytes own(16 * count);
  for (size_t b = 0; b < count; ++b) store_block(own.writable().data() + 16 * b, row[b]);
  wipe(row.data(), row.size() * sizeof(Block));
  return own;
}

}  // namespace

std::vector<SecretBytes> store_rows(net::Party& party, Source& source,
                                    std::span<const AuthBits* const> values,
                                    std::vector<PartyId> owners) {
  if (values.empty()) return {};
  if (owners.empty()) {
    owners.resize(party.num_parties());
    std::iota(owners.begin(), owners.end(), PartyId{0});
  }
  const Fresh fresh = draw(party, source, values);
  const std::vector<AuthField> tags = tags_of(party, source, fresh);
  AuthField strings;
  for (size_t s = 0; s < values.size(); ++s) {
    strings.append(fresh.x[s]);
    strings.append(tags[s]);
    strings.append(fresh.keys.slice(s, 1));
  }
  const SecretBytes own = deal(party, source, std::move(strings), owners);
  std::vector<SecretBytes> out;
  if (std::find(owners.begin(), owners.end(), party.id()) == owners.end()) return out;
  size_t at = 0;
  for (const AuthBits* value : values) {
    const size_t bytes = row_bytes(value->size());
    out.push_back(SecretBytes::copy_of(own.reveal().subspan(at, bytes)));
    at += bytes;
  }
  return out;
}

}  // namespace flexroom::prep
