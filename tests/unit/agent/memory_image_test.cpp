#include "support/memory_image.h"

#include <gtest/gtest.h>

#include "agent/answer_keys.h"
#include "agent/connection_circuits.h"
#include "agent/memory_journal.h"
#include "support/dealer.h"
#include "support/parties.h"

// What the server's keys are derived from leaves the memory with the last of them (tls-in-mpc.md
// §3.6).

namespace flexroom::agent {
namespace memory_image_test {

/// What GC-B leaves of the server's secret: opened states and a sharing.
boolean::Outputs request_outputs(const mpc::Program& program, support::Dealer& dealer, PartyId id) {
  boolean::Outputs out;
  out.opened.resize(program.outputs.size());
  out.kept.resize(program.outputs.size());
  out.opened[program.output_group("kin_s_ap")] = std::vector<uint8_t>(256);
  out.kept[program.output_group("kout_s_ap")] =
      dealer.share_bits(id, 1, std::vector<uint8_t>(256, 1));
  return out;
}

/// Whether this member's part of that sharing is there before the keys are derived, then, and
/// behind a KeyUpdate.
std::vector<bool> is_there(size_t updates) {
  support::Dealer dealer(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    prep::Source& source = dealer.source(party.id());
    arith::ArithEngine arith(party, source);
    boolean::Engine engine(party, source);
    MemoryJournal journal;
    const Context context{party, source, arith, engine, journal};
    AnswerKeys keys({2, 4096, updates}, gcm_answer_cipher(), 2);
    keys.prepare(context);
    RequestPlan plan;
    plan.bytes = 1;
    plan.sealed_answer = true;
    const auto program = request_program(plan);
    Block masked;
    {
      boolean::Outputs outputs = request_outputs(*program, dealer, party.id());
      masked =
          outputs.kept[program->output_group("kout_s_ap")].key[1 - party.id()][3] ^ support::kMask;
      keys.take(*program, outputs);
    }
    const Views views(party, Digest{});
    std::vector<bool> found;
    const auto look = [&] {
      (void)party.exchange("test/there", Digest{});
      found.push_back(support::copies_of(masked) > 0);
      (void)party.exchange("test/looked", Digest{});
    };
    look();
    keys.derive(views);
    look();
    if (keys.can_update()) {
      keys.update(1, views, {});
      look();
    }
    return found;
  });
  EXPECT_TRUE(run.outcomes[0].value && run.outcomes[1].value);
  EXPECT_EQ(run.outcomes[0].value, run.outcomes[1].value);
  return run.outcomes[0].value.value_or(std::vector<bool>());
}

TEST(MemoryImage, TheServersSecretIsWipedWhenItsLastKeysAreThere) {
  EXPECT_EQ(is_there(0), (std::vector<bool>{true, false}));
  EXPECT_EQ(is_there(1), (std::vector<bool>{true, true, false}));
}

}  // namespace memory_image_test
}  // namespace flexroom::agent
