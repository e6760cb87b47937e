// The console command `linnet`: the program itself, in the process of Python.
#include "cli/command.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <signal.h>

#include <string>
#include <vector>

#include "bindings/python/bindings.h"
#include "linnet/linnet.h"

namespace linnet::python {

void AddCommand(nb::module_& m) {
  m.attr("__version__") = linnet_version();
  m.def(
      "_run_command",
      [](std::vector<std::string> arguments) {
        std::vector<char*> argv;
        argv.reserve(arguments.size() + 1);
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        // Python ignores SIGPIPE; a closed pipe ends the program.
        signal(SIGPIPE, SIG_DFL);
        return cli::RunCommand(static_cast<int>(arguments.size()), argv.data(), cli::AllCommands());
      },
      nb::arg("arguments"));
}

}  // namespace linnet::python
