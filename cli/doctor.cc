// linnet doctor: what this machine can do, what is there, and what will fit.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "base/memory.h"
#include "cli/cli.h"
#include "cli/models.h"
#include "cli/released_models.h"
#include "download/pulled_models.h"
#include "eval/speed.h"
#include "kernels/isa.h"
#include "linnet/linnet.h"
#include "linnet/model.h"
#include "text/builtin_vocabulary.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct DoctorFlags {
  CommonOptions common;
  double memory_gb = 0;
  bool no_measure = false;
};

struct MachineFacts {
  std::string cpu;
  size_t threads = 0;
  std::vector<std::string> levels;
  std::string level;
  uint64_t memory = 0, available = 0, disk = 0;
  bool measured = false;
  MachineSpeed speed;
};

// "model name : AMD EPYC …" of the first processor; empty on machines that do not say it.
std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    return colon == line.npos ? "" : line.substr(colon + 2);
  }
  return "";
}

uint64_t TotalMemory() {
  const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && bytes > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(bytes) : 0;
}

// Free space where pulled models go, or will go.
uint64_t DiskSpace() {
  std::error_code error;
  for (fs::path at = PulledModelsFolder(); !at.empty(); at = at.parent_path()) {
    const fs::space_info space = fs::space(at, error);
    if (!error) return space.available;
    if (at == at.parent_path()) break;
  }
  return 0;
}

MachineFacts FactsOfMachine(const DoctorFlags& o) {
  MachineFacts facts;
  facts.cpu = CpuName();
  facts.threads = o.common.threads;
  for (const Isa isa : SupportedIsas()) facts.levels.emplace_back(Name(isa));
  facts.level = Name(CurrentIsa());
  facts.memory = TotalMemory();
  facts.available = AvailableMemory();
  facts.disk = DiskSpace();
  const uint64_t probe = (uint64_t{128} << 20) * o.common.threads;
  if (!o.no_measure && probe < facts.available / 2) {
    facts.speed = MeasureMachine(o.common.threads);
    facts.measured = true;
  }
  return facts;
}

double Gigabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

// Memory that a model may use: of this machine, or of the one that is asked about.
uint64_t Room(const DoctorFlags& o, const MachineFacts& machine) {
  return o.memory_gb > 0 ? static_cast<uint64_t>(o.memory_gb * 1e9)
                         : std::min(machine.memory, machine.available + kSystemBytes);
}

// The most tokens a second that the memory's speed allows; 0 if it was not measured.
double MostTokens(const MachineFacts& machine, const Needs& needs) {
  return machine.measured ? machine.speed.read_gb_s * 1e9 / static_cast<double>(needs.read_bytes)
                          : 0;
}

ordered_json AsJson(const DoctorFlags& o, const MachineFacts& machine,
                    const std::vector<ModelHere>& models) {
  ordered_json list = ordered_json::array();
  for (const ModelHere& model : models) list.push_back(ToJson(model));
  ordered_json released = ordered_json::array();
  const uint64_t room = Room(o, machine);
  for (const ReleasedModel& model : kReleasedModels) {
    ordered_json formats;
    for (const DType format : kReleasedFormats) {
      const Needs needs = NeedsOf(model, format);
      formats[Name(format)] = {
          {"weights_bytes", needs.weights},
          {"memory_bytes", needs.memory},
          {"fits", needs.memory + kSystemBytes <= room},
          {"most_tokens_per_s",
           machine.measured ? ordered_json(MostTokens(machine, needs)) : ordered_json()}};
    }
    released.push_back({{"size", model.size}, {"name", model.name}, {"formats", formats}});
  }
  ordered_json speed;
  if (machine.measured) {
    speed = {{"read_gb_s", machine.speed.read_gb_s},
             {"f32_gflops", machine.speed.f32_gflops},
             {"bf16_gflops", machine.speed.bf16_gflops},
             {"int8_gops", machine.speed.int8_gops}};
  }
  return {{"version", linnet_version()},
          {"cpu", machine.cpu},
          {"threads", machine.threads},
          {"levels", machine.levels},
          {"level", machine.level},
          {"memory_bytes", machine.memory},
          {"available_bytes", machine.available},
          {"disk_bytes", machine.disk},
          {"speed", std::move(speed)},
          {"built_in_model", Model::HasBuiltIn()},
          {"built_in_vocabulary", !BuiltinVocabulary().empty()},
          {"models_folder", PulledModelsFolder().string()},
          {"models", std::move(list)},
          {"room_bytes", room},
          {"released", std::move(released)}};
}

std::string MachineText(const MachineFacts& machine) {
  const auto row = [](const char* name, const std::string& value) {
    return fmt::format("{:<12}{}\n", name, value);
  };
  std::string out = row("linnet", linnet_version());
  if (!machine.cpu.empty()) out += row("cpu", machine.cpu);
  out += row("threads", fmt::format("{}", machine.threads));
  out +=
      row("level", fmt::format("{}; there are {}", machine.level, fmt::join(machine.levels, ", ")));
  out += row("memory", fmt::format("{:.1f} GB, of which {:.1f} GB are available",
                                   Gigabytes(machine.memory), Gigabytes(machine.available)));
  if (machine.measured) {
    const MachineSpeed& speed = machine.speed;
    out += row("speed",
               fmt::format("reads {:.1f} GB/s; {:.0f} GFLOP/s in f32, {:.0f} in bf16, "
                           "{:.0f} GOP/s in int8",
                           speed.read_gb_s, speed.f32_gflops, speed.bf16_gflops, speed.int8_gops));
  }
  out += row("vocabulary", BuiltinVocabulary().empty() ? "none built in; give --vocab FILE"
                                                       : "World is built in");
  const fs::path folder = PulledModelsFolder();
  out += row("folder", folder.empty() ? "none: there is no home folder"
                                      : fmt::format("{}, {:.1f} GB free", folder.string(),
                                                    Gigabytes(machine.disk)));
  return out;
}

std::string FitText(const DoctorFlags& o, const MachineFacts& machine) {
  const uint64_t room = Room(o, machine);
  std::string out = fmt::format(
      "\nReleased models, computed: memory in GB{} (* fits in {:.1f} GB, with 1 GB for the "
      "system)\n",
      machine.measured ? ", and the most tokens a second that reading allows" : "",
      Gigabytes(room));
  out += fmt::format("{:<7}", "");
  for (const DType format : kReleasedFormats) out += fmt::format("{:>18}", Name(format));
  out += "\n";
  for (const ReleasedModel& model : kReleasedModels) {
    out += fmt::format("{:<7}", model.size);
    for (const DType format : kReleasedFormats) {
      const Needs needs = NeedsOf(model, format);
      const bool fits = needs.memory + kSystemBytes <= room;
      std::string cell = fmt::format("{:.1f}{}", Gigabytes(needs.memory), fits ? "*" : " ");
      if (machine.measured) cell += fmt::format("{:>8.1f}/s", MostTokens(machine, needs));
      out += fmt::format("{:>18}", cell);
    }
    out += fmt::format("  {}\n", model.name);
  }
  return out + "\n`linnet pull NAME` fetches one; `linnet quantize` makes int8 and nf4 of it.\n";
}

void RunDoctor(const DoctorFlags& o) {
  const MachineFacts machine = FactsOfMachine(o);
  const std::vector<ModelHere> models = ModelsHere();
  if (o.common.json) {
    Print(AsJson(o, machine, models).dump(-1, ' ', false, ordered_json::error_handler_t::replace) +
          "\n");
    return;
  }
  std::string out = MachineText(machine);
  for (const ModelHere& model : models) {
    out += fmt::format("{:<12}{}: {:.3f} GB, {}\n", "model", model.name, Gigabytes(model.bytes),
                       model.Describe());
  }
  Print(out + FitText(o, machine));
}

}  // namespace

void AddDoctor(CLI::App& app) {
  const auto o = std::make_shared<DoctorFlags>();
  CLI::App* command = AddCommand(
      app, "doctor", "Say what this machine can do, what is there, and which models will fit",
      "linnet doctor\n"
      "  linnet doctor --memory 16     # what would fit a machine with 16 GB",
      o->common, [o] { RunDoctor(*o); }, kJson | kThreads | kIsa);
  command->add_option("--memory", o->memory_gb, "Of a machine with so much memory instead")
      ->type_name("GB")
      ->check(CLI::Range(0.1, 1e6));
  command->add_flag("--no-measure", o->no_measure, "Do not measure speeds, which takes a second");
}

}  // namespace linnet::cli
