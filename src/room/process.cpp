#include "flexroom/process.h"

#include "base/block.h"
#include "base/secret.h"

namespace flexroom {

bool prepare_process() {
  const bool hardened = harden_process();
  keep_freed_memory();
  return hardened;
}

}  // namespace flexroom
