// linnet licences: prints the notices of third parties.
#include <memory>

#include "cli/cli.h"
#include "cli/notices.h"

namespace linnet::cli {

void AddLicences(CLI::App& app) {
  const auto common = std::make_shared<CommonOptions>();
  AddCommand(
      app, "licences", "Print the notices of third parties", "linnet licences | less", *common,
      [common] { Print(Notices()); }, 0);
}

}  // namespace linnet::cli
