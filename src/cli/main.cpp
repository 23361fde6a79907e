#include <csignal>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  flexroom::cli::reserve_standard_descriptors();
  return flexroom::cli::CommandLine().run(argc, argv);
}
