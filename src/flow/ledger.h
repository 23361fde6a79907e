#pragma once

#include <map>
#include <string>

#include "store/once_db.h"
#include "store/room_store.h"

namespace flexroom::flow {

/// Every account of the leak ledger on which bits were booked (RunStore::arm); all are full once
/// once.db was lost.
std::map<std::string, unsigned> booked_accounts(store::OnceDb& once, const store::RoomId& rid);

}  // namespace flexroom::flow
