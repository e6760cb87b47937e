// linnet::Error becomes one of the exceptions of linnet/errors.py.
#include <fmt/format.h>

#include <CLI/Error.hpp>
#include <exception>
#include <string>

#include "bindings/python/bindings.h"

namespace linnet::python {
namespace {

const char* ClassOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kIo:
      return "FileError";
    case ErrorKind::kBadModel:
      return "ModelError";
    case ErrorKind::kBadState:
      return "StateError";
    case ErrorKind::kBadInput:
      return "InputError";
    case ErrorKind::kNoMemory:
      return "OutOfMemoryError";
    case ErrorKind::kBusy:  // only of a Scheduler
      break;
  }
  return "Error";
}

// What to change in the call.
const char* AdviceOf(Remedy remedy) {
  switch (remedy) {
    case Remedy::kNone:
    case Remedy::kMoreRows:  // the limit cannot be set here
    case Remedy::kGiveKeys:  // only of a server
      break;
    case Remedy::kIgnoreMemory:
      return "; pass force=True to go on";
    case Remedy::kGiveVocabulary:
      return "; give its file with vocab=";
    case Remedy::kUseAsState:
      return "; open it with State.load";
    case Remedy::kLowerRate:
      return "; lower the learning rate";
    case Remedy::kSkipStep:
      return "; lower the learning rate, or pass skip_spikes=True to go on without the step";
    case Remedy::kLearnMore:
      return "; loosen learns=";
    case Remedy::kWholeRows:
      return "; pass chunk=0";
    case Remedy::kOtherFolder:
      return "; wait until it ends, or give another folder";
  }
  return "";
}

void Raise(const char* name, const std::string& message) {
  nb::object type = nb::module_::import_("linnet.errors").attr(name);
  const nb::str text(message.c_str(), message.size());
  PyErr_SetObject(type.ptr(), type(text).ptr());
}

void Translate(const std::exception_ptr& exception, void*) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    Raise(ClassOf(error.kind()), std::string(error.what()) + AdviceOf(error.remedy()));
  } catch (const CLI::Error& error) {  // of an option's value
    Raise("InputError", error.what());
  }
}

}  // namespace

void AddErrors(nb::module_&) { nb::register_exception_translator(Translate); }

}  // namespace linnet::python
