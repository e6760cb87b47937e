#include "ops/together.h"

#include <exception>

#include "base/check.h"

namespace linnet {

Together::Together(Pass& p) : p_(p) {
  LINNET_CHECK(p.together == nullptr);
  p.together = this;
}

Together::~Together() {
  LINNET_CHECK(waiting_.empty() || std::uncaught_exceptions() > 0);
  if (p_.together == this) p_.together = nullptr;
}

bool Together::Takes(size_t rows) const { return p_.tape == nullptr && rows <= kFewRows; }

void Together::Run() {
  Products(p_, waiting_);
  waiting_.clear();
  if (p_.together == this) p_.together = nullptr;
}

}  // namespace linnet
