#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "people/desk.h"
#include "people/evidence.h"
#include "people/key_file.h"
#include "people/rule_store.h"
#include "people/voice_refused.h"
#include "unit/people/virtual_authenticator.h"
#include "unit/store/store_fixture.h"

namespace flexroom::people {

using agreement::StatementKind;

/// Which check refused; kForm.. or nothing.
inline std::string refused(const std::function<void()>& action) {
  try {
    action();
    return "ok";
  } catch (const VoiceRefused& error) {
    return std::string(to_string(error.check()));
  } catch (const InputError& error) {
    return std::string("input: ") + error.what();
  }
}

/// A member with the people of model m5: ann with two keys and bob, two of both approve, bob
/// administers.
class PeopleTest : public store::StoreTest {
 protected:
  PeopleTest() : identity_(net::Identity::make("m0")) {
    room_[0] = 7;
    open_files();
  }
  void close_files() {
    rules_.reset();
    log_.reset();
    once_.reset();
    db_.reset();
  }
  void open_files(bool expected = false) {
    close_files();
    db_ = open("m0");
    once_ = open_once("m0", expected);
    log_ = std::make_unique<store::AuditLog>(*db_, *once_, identity_, room_, member_);
    rules_ = std::make_unique<RuleStore>(*db_, *once_, room_, member_);
  }
  Person person(const std::string& name, std::vector<Role> roles,
                const std::vector<Key>& keys) const {
    return {name, std::move(roles), keys};
  }
  Rule rule() const {
    Rule out;
    out.room = room_;
    out.member = member_;
    out.version = 1;
    out.persons = {person("ann", {Role::kApprove}, {ann_.key(), ann2_.key()}),
                   person("bob", {Role::kApprove, Role::kAdminister}, {bob_.key(), bob2_.key()})};
    out.approve = {2, {"ann", "bob"}};
    out.administer = {1, {"bob"}};
    return out;
  }
  Rule begin() {
    rules_->begin(*log_, rule());
    return rules_->current()->rule;
  }
  /// What is asked: P under T1, key version 2, until 1000 (model m5).
  PersonStatement matter(StatementKind kind = StatementKind::kApprove) const {
    PersonStatement out;
    out.kind = kind;
    out.role = role_for(kind);
    out.what = {1};
    if (kind == StatementKind::kRule) return out;
    out.terms = {2};
    out.versions = {3};
    out.not_before = 1;
    out.not_after = 1000;
    return out;
  }
  static Voice voice(ByteView st, VirtualAuthenticator& with,
                     const VirtualAuthenticator::Ask& ask = {}) {
    const Assertion a = with.get(challenge_of(st), ask);
    return {Bytes(st.begin(), st.end()), with.key().credential, a.authenticator_data, a.client_data,
            a.signature};
  }
  /// A voice on a statement of the desk, altered by `alter` before it is signed.
  Voice asked(Desk& desk, const std::string& name, VirtualAuthenticator& with,
              const std::function<void(PersonStatement&)>& alter = nullptr) const {
    PersonStatement st = desk.statement(matter(), name);
    if (alter) alter(st);
    return voice(st.encode(), with);
  }
  Desk desk() {
    return Desk(*rules_, local_relying_parties(7180), [this] { return now_; });
  }

  Digest room_{};
  agreement::MemberId member_{4};
  net::Identity identity_;
  VirtualAuthenticator ann_{"ann"}, ann2_{"ann2", KeyKind::kEdDsa}, bob_{"bob"},
      bob2_{"bob2", KeyKind::kEdDsa}, evil_{"evil"};
  std::chrono::steady_clock::time_point now_{};
  std::unique_ptr<store::SealedDb> db_;
  std::unique_ptr<store::OnceDb> once_;
  std::unique_ptr<store::AuditLog> log_;
  std::unique_ptr<RuleStore> rules_;
};

}  // namespace flexroom::people
