#include "download/hub.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "download/fetch.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kListBytes = 16 << 20;  // of one page
constexpr size_t kPages = 20;
constexpr size_t kMostFiles = 20000;

struct HubSite {
  HubKind kind;
  const char* name;
  const char* endpoint;
  const char* revision;  // the default branch
};
// WiseModel's files come from a host of their own.
constexpr std::array<HubSite, 3> kSites = {{
    {HubKind::kHuggingFace, "huggingface", "https://huggingface.co", "main"},
    {HubKind::kModelScope, "modelscope", "https://modelscope.cn", "master"},
    {HubKind::kWiseModel, "wisemodel", "https://awsdownload.wisemodel.cn", "main"},
}};

struct HubHost {
  const char* host;
  HubKind kind;
};
constexpr std::array<HubHost, 7> kHosts = {{
    {"hf.co", HubKind::kHuggingFace},
    {"huggingface.co", HubKind::kHuggingFace},
    {"modelscope.cn", HubKind::kModelScope},
    {"www.modelscope.cn", HubKind::kModelScope},
    {"wisemodel.cn", HubKind::kWiseModel},
    {"www.wisemodel.cn", HubKind::kWiseModel},
    {"awsdownload.wisemodel.cn", HubKind::kWiseModel},
}};

const HubSite& SiteOf(HubKind kind) { return kSites[static_cast<size_t>(kind)]; }

std::string RevisionOf(const Hub& hub, const std::string& given) {
  return given.empty() ? SiteOf(hub.kind).revision : given;
}

// A name that is one folder: what the hubs allow.
bool IsPlainName(std::string_view name) {
  if (name.empty() || name.size() > 128 || name[0] == '.' || name[0] == '-') return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) return false;
  }
  return true;
}

// Removes `word` and a '/' from the front.
bool TakeWord(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  const std::string_view rest = text.substr(word.size());
  if (!rest.empty() && rest[0] != '/') return false;
  text = rest.empty() ? rest : rest.substr(1);
  return true;
}

std::string_view NextWord(std::string_view& text) {
  const size_t slash = text.find('/');
  const std::string_view word = text.substr(0, slash);
  text = slash == text.npos ? std::string_view() : text.substr(slash + 1);
  return word;
}

std::optional<uint64_t> SizeIn(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<uint64_t>();
}

std::string TextIn(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<Digest> DigestText(const nlohmann::json& object, const char* key) {
  return ParseDigest(TextIn(object, key));
}

nlohmann::json ParsedList(const std::string& text, const std::string& url) {
  nlohmann::json list = nlohmann::json::parse(text, nullptr, false);
  if (list.is_discarded()) {
    throw Error(ErrorKind::kIo, fmt::format("{}: no list of files: it is not JSON", ShownUrl(url)));
  }
  return list;
}

// The next page, from `<URL>; rel="next"`.
std::string NextPage(const std::string& link) {
  const size_t begin = link.find('<'), end = link.find('>');
  if (begin == link.npos || end == link.npos || end < begin) return "";
  if (link.find("rel=\"next\"", end) == link.npos) return "";
  return link.substr(begin + 1, end - begin - 1);
}

struct FileList {
  const Hub& hub;
  const HubName& name;
  const std::string& revision;
  std::vector<RemoteFile> files;

  void Add(const std::string& path, std::optional<uint64_t> size, std::optional<Digest> sha256) {
    if (!IsSafePath(path)) return;
    if (files.size() >= kMostFiles) {
      throw Error(ErrorKind::kIo, fmt::format("{}: lists over {} files", name.Shown(), kMostFiles));
    }
    RemoteFile file = FileOf(hub, name, revision, path);
    file.size = size;
    file.sha256 = sha256;
    files.push_back(std::move(file));
  }
};

// [{"type": "file", "path": …, "size": N, "lfs": {"oid": SHA256, "size": N}}]
void AddHuggingFace(const nlohmann::json& list, FileList& files) {
  for (const nlohmann::json& entry : list) {
    if (!entry.is_object() || TextIn(entry, "type") != "file") continue;
    const auto lfs = entry.find("lfs");
    const bool large = lfs != entry.end() && lfs->is_object();
    std::string oid = large ? TextIn(*lfs, "oid") : "";
    if (oid.starts_with("sha256:")) oid.erase(0, 7);
    files.Add(TextIn(entry, "path"), large ? SizeIn(*lfs, "size") : SizeIn(entry, "size"),
              ParseDigest(oid));
  }
}

// {"Data": {"Files": [{"Type": "blob", "Path": …, "Size": N, "Sha256": …}]}}
void AddModelScope(const nlohmann::json& list, FileList& files) {
  const auto data = list.find("Data");
  if (data == list.end() || !data->is_object() || !data->contains("Files")) return;
  for (const nlohmann::json& entry : (*data)["Files"]) {
    if (!entry.is_object() || TextIn(entry, "Type") == "tree") continue;
    files.Add(TextIn(entry, "Path"), SizeIn(entry, "Size"), DigestText(entry, "Sha256"));
  }
}

}  // namespace

const char* Name(HubKind kind) { return SiteOf(kind).name; }

std::optional<HubKind> ParseHubKind(std::string_view name) {
  for (const HubSite& site : kSites) {
    if (name == site.name) return site.kind;
  }
  return std::nullopt;
}

std::string HubName::Shown() const {
  return owner + "/" + repository + (file.empty() ? "" : "/" + file);
}

bool IsSafePath(std::string_view path) {
  if (path.empty() || path.size() > 1024) return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7F' || c == '\\') return false;
  }
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    // Hidden names are ours: incomplete files and records.
    if (part.empty() || part[0] == '.' || part.size() > 200) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

HubName ParseHubName(std::string_view text) {
  const auto refuse = [&](const char* found) {
    return Error(
        ErrorKind::kBadInput,
        fmt::format("'{}' {}, expected OWNER/REPO or OWNER/REPO/FILE", Quoted(text), found));
  };
  HubName name;
  std::string_view rest = text.substr(0, text.find_first_of("?#"));
  const bool address = rest.starts_with("https://") || rest.starts_with("http://");
  if (address) rest.remove_prefix(rest.find("://") + 3);
  for (const HubHost& host : kHosts) {
    if (!name.kind && TakeWord(rest, host.host)) name.kind = host.kind;
  }
  if (address && !name.kind) throw refuse("is of a site that is not known");
  if (name.kind) {
    TakeWord(rest, "file-proxy");
    TakeWord(rest, "models");
  }
  name.owner = NextWord(rest);
  const size_t colon = rest.find(':');
  const size_t slash = std::min(rest.find('/'), rest.size());
  if (colon != rest.npos && colon < slash) {
    name.repository = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
  } else {
    name.repository = NextWord(rest);
    if (name.kind) {
      TakeWord(rest, "-");
      if (TakeWord(rest, "blob") || TakeWord(rest, "resolve") || TakeWord(rest, "raw") ||
          TakeWord(rest, "tree")) {
        name.revision = NextWord(rest);
      }
    }
  }
  name.file = rest;
  if (!IsPlainName(name.owner) || !IsPlainName(name.repository)) {
    throw refuse("is no model of a hub");
  }
  if (!name.file.empty() && !IsSafePath(name.file)) throw refuse("names no file of a repository");
  return name;
}

std::string EndpointOf(const Hub& hub) {
  std::string endpoint = hub.endpoint.empty() ? SiteOf(hub.kind).endpoint : hub.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const bool web = endpoint.starts_with("https://") || endpoint.starts_with("http://");
  if (!web || endpoint.find_first_of("?#@ \t\r\n") != endpoint.npos) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("endpoint '{}' is no address, expected one like https://hf-mirror.com",
                            Quoted(endpoint)));
  }
  return endpoint;
}

RemoteFile FileOf(const Hub& hub, const HubName& name, const std::string& revision,
                  const std::string& path) {
  const std::string at = PercentEncoded(RevisionOf(hub, revision));
  const std::string file = PercentEncoded(path, "/");
  const std::string repository = name.owner + "/" + name.repository;
  const std::string endpoint = EndpointOf(hub);
  RemoteFile remote;
  remote.path = path;
  switch (hub.kind) {
    case HubKind::kHuggingFace:
      remote.url = fmt::format("{}/{}/resolve/{}/{}", endpoint, repository, at, file);
      break;
    case HubKind::kModelScope:
      remote.url = fmt::format("{}/models/{}/resolve/{}/{}", endpoint, repository, at, file);
      break;
    case HubKind::kWiseModel:
      remote.url = fmt::format("{}/file-proxy/{}/-/raw/{}/{}", endpoint, repository, at, file);
      break;
  }
  return remote;
}

std::optional<std::vector<RemoteFile>> ListFiles(const Hub& hub, const HubName& name,
                                                 const std::string& revision,
                                                 const HubPatience& patience) {
  if (hub.kind == HubKind::kWiseModel) return std::nullopt;
  const std::string endpoint = EndpointOf(hub);
  const std::string at = PercentEncoded(RevisionOf(hub, revision));
  const std::string repository = name.owner + "/" + name.repository;
  const bool hugging_face = hub.kind == HubKind::kHuggingFace;
  std::string url =
      hugging_face
          ? fmt::format("{}/api/models/{}/tree/{}?recursive=true", endpoint, repository, at)
          : fmt::format("{}/api/v1/models/{}/repo/files?Revision={}&Recursive=true", endpoint,
                        repository, at);
  FileList files{hub, name, revision, {}};
  for (size_t page = 0; !url.empty(); ++page) {
    if (page >= kPages) {
      throw Error(ErrorKind::kIo,
                  fmt::format("{}: a list of over {} pages", ShownUrl(url), kPages));
    }
    const FetchedText fetched =
        FetchText({.url = url, .token = hub.token, .if_range = "", .patience = patience.patience},
                  kListBytes, patience.tries, patience.pause, patience.tick);
    const nlohmann::json list = ParsedList(fetched.text, url);
    if (!hugging_face) {
      AddModelScope(list, files);
      break;
    }
    AddHuggingFace(list, files);
    const std::string next = NextPage(fetched.head.Header("link"));
    // The token goes to no other site.
    url = next.starts_with(endpoint + "/") ? next : "";
  }
  return std::move(files.files);
}

}  // namespace linnet
