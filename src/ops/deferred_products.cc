#include "ops/deferred_products.h"

#include <exception>

#include "base/check.h"

namespace linnet {

DeferredProducts::DeferredProducts(Pass& p) : p_(p) {
  LINNET_CHECK(p.deferred == nullptr);
  p.deferred = this;
}

DeferredProducts::~DeferredProducts() {
  LINNET_CHECK(waiting_.empty() || std::uncaught_exceptions() > 0);
  if (p_.deferred == this) p_.deferred = nullptr;
}

bool DeferredProducts::Defers(size_t rows) const { return p_.tape == nullptr && rows <= kFewRows; }

void DeferredProducts::Run() {
  Products(p_, waiting_);
  waiting_.clear();
  if (p_.deferred == this) p_.deferred = nullptr;
}

}  // namespace linnet
