#pragma once

#include <ctime>
#include <filesystem>
#include <map>
#include <string>

#include "cloud/accounts.h"
#include "cloud/mail.h"
#include "cloud/web.h"

namespace flexroom::cloud {

/// Who signed up: what the sign-in compares. In clear, as accounts.json is.
struct Person {
  std::string email, password, account_id, given, family, phone, address;
  bool phone_verified = false;
};

/// Everybody who signed up, by address in lower case; people.json (0600). Not thread-safe.
class People {
 public:
  /// The user of an account that was signed up; the console makes keys for it.
  static constexpr const char* kUser = "owner";

  People(const std::filesystem::path& state_dir, Directory& directory);
  Person* find(const std::string& email);
  /// Whose account it is, or nothing.
  const Person* of_account(const std::string& account_id) const;
  /// Gives the person a new account without a key.
  Person& add(Person person);
  /// Call after a change.
  void save() const;

 private:
  std::filesystem::path file_;
  Directory& directory_;
  std::map<std::string, Person> people_;
};

/// What the sign-in hands to the console: who, for which visit.
struct Grant {
  std::string state, email;
};

/// What these hosts and the desks share. Used under one lock.
struct WebCore {
  WebCore(const std::filesystem::path& state_dir, Directory& accounts, WebBehaviour first)
      : behaviour(std::move(first)),
        directory(accounts),
        people(state_dir, accounts),
        mail(state_dir, behaviour) {}

  WebBehaviour behaviour;
  std::time_t now = 0;  // of the request that is handled
  Directory& directory;
  People people;
  Mail mail;
  Tokens<std::string> states;  // of visits to the console that wait for a sign-in
  Tokens<Grant> grants;        // by code
};

}  // namespace flexroom::cloud
