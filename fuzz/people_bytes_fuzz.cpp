#include <cstdlib>

#include "agreement/people_bodies.h"
#include "fuzz.h"
#include "people/cbor.h"
#include "people/evidence.h"
#include "people/exchange.h"
#include "people/rule.h"
#include "people/webauthn.h"

// What browsers, authenticators and files of persons bring (members.md 7.3): each parser takes it
// or refuses it with a documented error; what has one canonical form is written again as it was
// read. First byte: which parser.

namespace {

using namespace flexroom;
using namespace flexroom::people;

void same(const Bytes& written, ByteView read) {
  if (!std::equal(written.begin(), written.end(), read.begin(), read.end())) std::abort();
}

void parse(unsigned which, ByteView in) {
  switch (which) {
    case 0:
      (void)ClientData::parse(in);
      return;
    case 1:
      (void)AuthenticatorData::parse(in);
      return;
    case 2:
      (void)cose_key(in);
      return;
    case 3:
      (void)Cbor::decode(in, "fuzz");
      return;
    case 4:
      same(PersonStatement::decode(in, "fuzz").encode(), in);
      return;
    case 5:
      same(Evidence::decode(in, "fuzz").encode(), in);
      return;
    case 6:
      same(Rule::decode(in, "fuzz").encode(), in);
      return;
    case 7:
      (void)Rule::parse(as_text(in), "fuzz", true);
      return;
    case 8:
      (void)Request::parse(as_text(in), "fuzz").shown("fuzz");
      return;
    case 9:
      (void)parse_voice(as_text(in), "fuzz");
      return;
    case 10:
      same(agreement::ApproveBody::decode(in, "fuzz").encode(), in);
      return;
    case 11:
      same(agreement::RuleBody::decode(in, "fuzz").encode(), in);
      return;
    case 12: {
      static const auto parties = local_relying_parties(7180);
      const size_t half = in.size() / 2;
      const ByteView first = in.first(half), rest = in.subspan(half);
      (void)verify_registration(
          {Bytes(rest.begin(), rest.end()), Bytes(first.begin(), first.end())}, {}, parties);
      return;
    }
    default:
      return;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  (void)fuzz::accepts([&] { parse(data[0], ByteView(data + 1, size - 1)); });
  return 0;
}
