#pragma once

namespace flexroom::ot {

/// Who is told when a check ends that only a cheating member fails (class A, boolean-engine.md
/// §10.2): a process that dies between before_verdict() and after_verdict() may have seen it fail.
class VerdictNotes {
 public:
  virtual ~VerdictNotes() = default;
  /// Everything that the verdict hangs on is here, and nothing of it was compared. Throws if it
  /// cannot be noted: then nothing is compared.
  virtual void before_verdict() {}
  virtual void after_verdict() {}
};

/// Stands around the comparison at the end of one check of class A; nothing is waited for while it
/// stands. Without passed() (the check failed, or was never ended) the note stays, until what
/// happened is on disk.
class Verdict {
 public:
  /// `notes` may be null: nobody is told.
  explicit Verdict(VerdictNotes* notes) : notes_(notes) {
    if (notes_ != nullptr) notes_->before_verdict();
  }
  Verdict(const Verdict&) = delete;
  Verdict& operator=(const Verdict&) = delete;
  void passed() {
    if (notes_ != nullptr) notes_->after_verdict();
  }

 private:
  VerdictNotes* const notes_;
};

}  // namespace flexroom::ot
