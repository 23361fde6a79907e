#include "inbox/wire.h"

#include <string_view>
#include <tuple>

#include "agreement/statement.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"
#include "inbox/inbox.h"

namespace flexroom::inbox {
namespace {

constexpr uint8_t kForm = 1;
constexpr std::string_view kHeads = "statements/heads", kWants = "statements/wants",
                           kBundle = "statements/bundle";

[[noreturn]] void bad(std::string_view what, std::string_view problem) {
  throw ProtocolAbort(AbortCode::kBadFrame, what, problem);
}

void expect_form(Reader& in, std::string_view what) {
  if (in.u8() != kForm) bad(what, "is of a form that this program does not read");
}

size_t count(Reader& in, size_t most, std::string_view what) {
  const uint32_t out = in.u32();
  if (out > most) bad(what, "lists more than it may");
  return out;
}

void put_forks(Writer& out, const std::vector<Digest>& forks) {
  out.u32(static_cast<uint32_t>(forks.size()));
  for (const Digest& fork : forks) out.raw(fork);
}

std::vector<Digest> read_forks(Reader& in, std::string_view what) {
  std::vector<Digest> out(count(in, Quotas::kMaxForks, what));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = in.digest();
    if (i > 0 && out[i - 1] >= out[i]) bad(what, "lists forks unsorted or twice");
  }
  return out;
}

}  // namespace

Bytes Heads::encode() const {
  Writer out;
  out.u8(kForm).u32(static_cast<uint32_t>(chains.size()));
  for (const ChainHead& h : chains) {
    out.raw(h.author).u32(h.incarnation).u64(h.number).raw(h.digest);
  }
  put_forks(out, forks);
  return out.take();
}

Heads Heads::decode(ByteView bytes) {
  Reader in(bytes, kHeads);
  expect_form(in, kHeads);
  Heads out;
  out.chains.resize(count(in, Quotas::kMaxHeads, kHeads));
  for (size_t i = 0; i < out.chains.size(); ++i) {
    ChainHead& h = out.chains[i];
    h.author = read_array<16>(in);
    h.incarnation = in.u32();
    h.number = in.u64();
    h.digest = in.digest();
    const auto rank = [](const ChainHead& c) { return std::tie(c.author, c.incarnation); };
    if (i > 0 && rank(out.chains[i - 1]) >= rank(h)) bad(kHeads, "lists chains unsorted or twice");
    if (h.number == 0) bad(kHeads, "lists a chain without a statement");
  }
  out.forks = read_forks(in, kHeads);
  in.finish();
  return out;
}

Bytes Wants::encode() const {
  Writer out;
  out.u8(kForm).u32(static_cast<uint32_t>(ranges.size()));
  for (const Range& r : ranges) out.raw(r.author).u32(r.incarnation).u64(r.first).u64(r.last);
  put_forks(out, forks);
  return out.take();
}

Wants Wants::decode(ByteView bytes) {
  Reader in(bytes, kWants);
  expect_form(in, kWants);
  Wants out;
  out.ranges.resize(count(in, Quotas::kMaxHeads, kWants));
  for (size_t i = 0; i < out.ranges.size(); ++i) {
    Range& r = out.ranges[i];
    r.author = read_array<16>(in);
    r.incarnation = in.u32();
    r.first = in.u64();
    r.last = in.u64();
    const auto rank = [](const Range& c) { return std::tie(c.author, c.incarnation); };
    if (i > 0 && rank(out.ranges[i - 1]) >= rank(r)) bad(kWants, "lists chains unsorted or twice");
    if (r.first == 0 || r.first > r.last || r.last - r.first >= Bundle::kMaxStatements) {
      bad(kWants, "asks for no statements, or for too many");
    }
  }
  out.forks = read_forks(in, kWants);
  in.finish();
  return out;
}

Bytes Bundle::encode() const {
  Writer out;
  out.u8(kForm).u32(static_cast<uint32_t>(statements.size()));
  for (const Bytes& s : statements) out.field(s);
  return out.take();
}

Bundle Bundle::decode(ByteView bytes) {
  if (bytes.size() > Quotas::kMaxBundle) bad(kBundle, "is longer than a bundle may be");
  Reader in(bytes, kBundle);
  expect_form(in, kBundle);
  Bundle out;
  const size_t statements = count(in, kMaxStatements, kBundle);
  for (size_t i = 0; i < statements; ++i) {
    const ByteView s = in.field(agreement::kMaxStatementBytes);
    out.statements.emplace_back(s.begin(), s.end());
  }
  in.finish();
  return out;
}

}  // namespace flexroom::inbox
