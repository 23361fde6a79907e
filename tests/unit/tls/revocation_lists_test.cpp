#include "tls/revocation_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tls/certificate.h"
#include "unit/tls/fake_server.h"

// `crl_file` of tls-complete.md §5: what a member's own lists say of a service's certificates.

namespace flexroom::tls {
namespace {

using testing::Cert;
using ::testing::HasSubstr;
using testing::Key;
using testing::kNow;
using testing::Pki;

/// A list of the leaf's issuer that names nobody, or what a test makes of it.
struct List {
  Cert issuer = Pki::shared().middle;
  Key key = Pki::shared().middle_key;
  std::vector<Cert> revoked = {};
  long this_update = -60, next_update = 3600;          // seconds from kNow
  std::vector<std::pair<int, std::string>> more = {};  // critical extensions: NID and value

  std::shared_ptr<X509_CRL> signed_list() const {
    const std::shared_ptr<X509_CRL> out(X509_CRL_new(), X509_CRL_free);
    const auto time = [](long offset) {
      return std::shared_ptr<ASN1_TIME>(ASN1_TIME_set(nullptr, kNow + offset), ASN1_TIME_free);
    };
    X509_CRL_set_version(out.get(), X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(out.get(), X509_get_subject_name(issuer.get()));
    X509_CRL_set1_lastUpdate(out.get(), time(this_update).get());
    X509_CRL_set1_nextUpdate(out.get(), time(next_update).get());
    for (const Cert& cert : revoked) {
      X509_REVOKED* entry = X509_REVOKED_new();
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert.get()));
      X509_REVOKED_set_revocationDate(entry, time(-120).get());
      FLEXROOM_ASSERT(X509_CRL_add0_revoked(out.get(), entry) == 1);
    }
    for (const auto& [nid, value] : more) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
      FLEXROOM_ASSERT(extension != nullptr && X509_CRL_add_ext(out.get(), extension, -1) == 1);
      X509_EXTENSION_free(extension);
    }
    X509_CRL_sort(out.get());
    FLEXROOM_ASSERT(X509_CRL_sign(out.get(), key.get(), EVP_sha256()) > 0);
    return out;
  }
  std::string encoded(bool pem) const {
    BIO* bio = BIO_new(BIO_s_mem());
    const auto list = signed_list();
    FLEXROOM_ASSERT(
        (pem ? PEM_write_bio_X509_CRL(bio, list.get()) : i2d_X509_CRL_bio(bio, list.get())) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<size_t>(size));
    BIO_free(bio);
    return out;
  }
  std::string pem() const { return encoded(true); }
};

class RevocationListsTest : public ::testing::Test {
 protected:
  RevocationListsTest() : file_(::testing::TempDir() + "lists.pem") {}
  ~RevocationListsTest() override { std::filesystem::remove(file_); }

  RevocationLists load(const std::string& content) const {
    std::ofstream(file_, std::ios::binary) << content;
    ::chmod(file_.c_str(), 0600);
    return RevocationLists::from_file(file_, "p");
  }
  /// What is wrong with the leaf of the usual chain, by that file.
  std::string judged(const std::string& content) const {
    const Pki& pki = Pki::shared();
    ChainPolicy policy = testing::chain_policy();
    policy.revocation_lists = load(content);
    return testing::abort_of([&] {
      check_chain({testing::to_der(pki.leaf), testing::to_der(pki.middle)}, policy);
    });
  }
  std::string unreadable(const std::string& content) const {
    try {
      (void)load(content);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  const std::string file_;
};

TEST_F(RevocationListsTest, AListThatNamesTheCertificateRefusesIt) {
  const Pki& pki = Pki::shared();
  EXPECT_EQ(judged(List().pem()), "");
  EXPECT_EQ(judged(List().encoded(false)), "");
  EXPECT_THAT(judged(List{.revoked = {pki.leaf}}.pem()),
              AllOf(HasSubstr("the server's certificate is revoked"), HasSubstr(file_)));
  EXPECT_EQ(judged(List{.revoked = {pki.root}}.pem()), "");  // another number
}

// A file without a fresh list of the leaf's issuer says nothing of the leaf: it does not pass.
TEST_F(RevocationListsTest, TheLeafNeedsAListOfItsIssuer) {
  const Pki& pki = Pki::shared();
  const List of_root{.issuer = pki.root, .key = pki.root_key};
  EXPECT_THAT(judged(of_root.pem()), HasSubstr("fresh CRL of its issuer"));
  EXPECT_THAT(judged(List{.key = pki.root_key}.pem()), HasSubstr("cannot be looked up"));
  EXPECT_THAT(judged(List{.next_update = -1}.pem()), HasSubstr("expired"));
  EXPECT_THAT(judged(List{.this_update = 600}.pem()), HasSubstr("not yet valid"));
  const std::string only_users = "critical,onlyuser:TRUE", only_ca = "critical,onlyCA:TRUE";
  EXPECT_EQ(judged(List{.more = {{NID_issuing_distribution_point, only_users}}}.pem()), "");
  EXPECT_THAT(judged(List{.more = {{NID_issuing_distribution_point, only_ca}}}.pem()),
              HasSubstr("cannot be looked up"));
  EXPECT_THAT(judged(List{.more = {{NID_ext_key_usage, "critical,serverAuth"}}}.pem()),
              HasSubstr("cannot be looked up"));
}

TEST_F(RevocationListsTest, AnAuthorityIsLookedUpWhereItsIssuerHasAList) {
  const Pki& pki = Pki::shared();
  List of_root{.issuer = pki.root, .key = pki.root_key};
  EXPECT_EQ(judged(List().pem() + of_root.pem()), "");
  of_root.revoked = {pki.middle};
  EXPECT_THAT(judged(List().pem() + of_root.pem()),
              HasSubstr("the certificate of an authority above the server's is revoked"));
}

TEST_F(RevocationListsTest, AFileThatIsNoListIsRefusedInWords) {
  EXPECT_THAT(unreadable(""), HasSubstr("holds no CRL"));
  EXPECT_THAT(unreadable(testing::to_pem(Pki::shared().root)), HasSubstr("holds no CRL"));
  std::string damaged = List().pem();
  damaged[damaged.size() / 2] = '!';
  EXPECT_THAT(unreadable(List().pem() + damaged), HasSubstr("holds a damaged CRL"));
  EXPECT_THAT(unreadable(List().encoded(false) + "x"), HasSubstr("holds a damaged CRL"));
  EXPECT_THROW((void)RevocationLists::from_file(file_ + ".none", "p"), InputError);
}

}  // namespace
}  // namespace flexroom::tls
