// Watches a long operation, as a page or a daemon would: fills the stock of AND triples with the
// other members and draws how far it is.
//
//   04_watch_progress member.toml TRIPLES     (the same at every member; Ctrl-C stops all)

#include <flexroom/flexroom.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

std::atomic<bool> stop{false};

class Watcher final : public flexroom::Decider {
 public:
  Answer approve(const flexroom::Summary&) override { return Answer::kNo; }  // nothing to approve
  std::optional<std::string> human_input(const flexroom::Question&) override {
    return std::nullopt;
  }
  void progress(const flexroom::Progress& now) override {
    std::printf("%-24s", now.phase.c_str());
    if (now.share) std::printf(" %3.0f %%", 100 * *now.share);
    if (now.seconds_left) std::printf("  %.1f s left", *now.seconds_left);
    std::printf("\n");
  }
  void note(std::string_view text) override {
    std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: 04_watch_progress MEMBER_TOML TRIPLES\n");
    return 2;
  }
  std::signal(SIGINT, [](int) { stop = true; });
  try {
    flexroom::RoomOptions options;
    options.member_file = argv[1];
    options.cancel = &stop;
    flexroom::Room room(options);
    Watcher watcher;
    flexroom::Session session(room, watcher);
    const flexroom::Stock stock = session.fill_stock(std::strtoull(argv[2], nullptr, 10));
    std::printf("in stock: %llu triples\n", static_cast<unsigned long long>(stock.triples));
    return 0;
  } catch (const flexroom::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit());
  }
}
