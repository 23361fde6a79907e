#pragma once

#include "agent/journal.h"
#include "agent/prepared_stock.h"
#include "arith/ecdh.h"
#include "boolean/engine.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// What a connection needs from the session; everything outlives it.
struct Context {
  net::Party& party;
  prep::Source& source;
  arith::ArithEngine& arith;
  boolean::Engine& engine;
  Journal& journal;
  /// Of a session with several sealed answers: what one of them leaves for the next; else null.
  PreparedStock* left_over = nullptr;
};

}  // namespace flexroom::agent
