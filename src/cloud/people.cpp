#include "cloud/people.h"

#include <fstream>

#include "base/error.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxPeople = 1000;

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Person, email, password, account_id, given, family, phone,
                                   address, phone_verified)

People::People(const std::filesystem::path& state_dir, Directory& directory)
    : file_(state_dir / "people.json"), directory_(directory) {
  std::ifstream file(file_);
  if (!file) return;
  try {
    people_ = nlohmann::json::parse(file).get<std::map<std::string, Person>>();
  } catch (const nlohmann::json::exception&) {
    throw InputError(file_.string(), "is not a list of people",
                     "remove the state folder to begin anew");
  }
}

Person* People::find(const std::string& email) {
  const auto found = people_.find(lower(email));
  return found == people_.end() ? nullptr : &found->second;
}

const Person* People::of_account(const std::string& account_id) const {
  for (const auto& [email, person] : people_) {
    if (person.account_id == account_id) return &person;
  }
  return nullptr;
}

Person& People::add(Person person) {
  if (people_.size() >= kMaxPeople) throw ApiError(503, "Full", "Nobody more can sign up.");
  person.account_id = directory_.open_account(person.given + " " + person.family, kUser);
  Person& added = people_[lower(person.email)] = person;
  save();
  return added;
}

void People::save() const {
  write_private_file(file_, json_text(nlohmann::json(people_), 1) + "\n");
}

}  // namespace flexroom::cloud
