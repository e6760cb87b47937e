#include "engine/job_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linnet {

JobQueue::Line& JobQueue::LineOf(const Job& job) {
  if (job.background) return background_;
  const auto [at, fresh] = lines_.try_emplace(job.owner);
  // An owner who had nothing waiting has no claim on the past.
  if (at->second.jobs.empty()) at->second.texts_served = std::max(at->second.texts_served, served_);
  return at->second;
}

void JobQueue::Push(WaitingJob job) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorKind::kBusy, what); };
  if (size_ >= limits_.jobs) {
    refuse(fmt::format("{} requests are waiting already, try again later", size_));
  }
  const size_t tokens = TokenCountOf(job.job);
  if (tokens > limits_.tokens - std::min(limits_.tokens, tokens_)) {
    refuse(fmt::format(
        "the prompts that are waiting have {} tokens, this one has {}, all may have {}; try again "
        "later",
        tokens_, tokens, limits_.tokens));
  }
  Line& line = LineOf(job.job);
  if (line.jobs.size() >= limits_.owner_jobs) {
    refuse(fmt::format("{} requests with this key are waiting already, try again later",
                       line.jobs.size()));
  }
  const auto deadline = job.job.deadline;
  const bool ready = job.ready;
  line.jobs.push_back(std::move(job));
  ++size_;
  tokens_ += tokens;
  ready_ += ready ? 1 : 0;
  if (deadline) first_deadline_ = std::min(first_deadline_.value_or(*deadline), *deadline);
}

const WaitingJob* JobQueue::Next(const std::function<size_t(const std::string&)>& running,
                                 size_t owner_running, bool background) {
  const WaitingJob* best = nullptr;
  std::pair<size_t, size_t> least;
  const auto first_ready = [](const Line& line) -> const WaitingJob* {
    const auto at = std::find_if(line.jobs.begin(), line.jobs.end(),
                                 [](const WaitingJob& job) { return job.ready; });
    return at == line.jobs.end() ? nullptr : &*at;
  };
  for (const auto& [owner, line] : lines_) {
    const WaitingJob* job = first_ready(line);
    if (job == nullptr) continue;
    const std::pair<size_t, size_t> rank{running(owner), line.texts_served};
    if (rank.first >= owner_running) continue;
    if (best != nullptr && (rank > least || (rank == least && job->id > best->id))) continue;
    best = job;
    least = rank;
  }
  return best == nullptr && background ? first_ready(background_) : best;
}

WaitingJob JobQueue::TakeFrom(Line& line, std::deque<WaitingJob>::iterator at) {
  WaitingJob job = std::move(*at);
  line.jobs.erase(at);
  --size_;
  tokens_ -= TokenCountOf(job.job);
  ready_ -= job.ready ? 1 : 0;
  return job;
}

template <class F>
bool JobQueue::Any(const F& use) {
  const auto in = [&](Line& line) {
    for (auto at = line.jobs.begin(); at != line.jobs.end(); ++at) {
      if (use(line, at)) return true;
    }
    return false;
  };
  if (in(background_)) return true;
  return std::any_of(lines_.begin(), lines_.end(), [&](auto& entry) { return in(entry.second); });
}

WaitingJob JobQueue::Take(const WaitingJob* job) {
  Line& line = job->job.background ? background_ : lines_.find(job->job.owner)->second;
  const auto at = std::find_if(line.jobs.begin(), line.jobs.end(),
                               [&](const WaitingJob& other) { return &other == job; });
  served_ = std::max(served_, line.texts_served);
  line.texts_served += PlacesOf(job->job);
  WaitingJob taken = TakeFrom(line, at);
  DropEmptyLines();
  return taken;
}

// Only what is ahead of the others must be remembered.
void JobQueue::DropEmptyLines() {
  std::erase_if(lines_, [&](const auto& entry) {
    return entry.second.jobs.empty() && entry.second.texts_served <= served_;
  });
}

std::optional<WaitingJob> JobQueue::Remove(uint64_t id) {
  std::optional<WaitingJob> removed;
  Any([&](Line& line, auto at) {
    if (at->id != id) return false;
    removed = TakeFrom(line, at);
    return true;
  });
  return removed;
}

std::vector<WaitingJob> JobQueue::RemoveExpired(Time now) {
  std::vector<WaitingJob> expired;
  if (!first_deadline_ || *first_deadline_ > now) return expired;
  first_deadline_.reset();
  std::vector<uint64_t> ids;
  Any([&](Line&, auto at) {
    const auto& deadline = at->job.deadline;
    if (!deadline) return false;
    if (*deadline <= now) {
      ids.push_back(at->id);
    } else {
      first_deadline_ = std::min(first_deadline_.value_or(*deadline), *deadline);
    }
    return false;
  });
  expired.reserve(ids.size());
  for (const uint64_t id : ids) expired.push_back(*Remove(id));
  return expired;
}

std::vector<WaitingJob> JobQueue::RemoveAll() {
  std::vector<WaitingJob> all;
  all.reserve(size_);
  const auto take = [&](Line& line) {
    while (!line.jobs.empty()) all.push_back(TakeFrom(line, line.jobs.begin()));
  };
  for (auto& entry : lines_) take(entry.second);
  take(background_);
  first_deadline_.reset();
  return all;
}

void JobQueue::SetReady(uint64_t id) {
  Any([&](Line&, auto at) {
    if (at->id != id) return false;
    ready_ += at->ready ? 0 : 1;
    at->ready = true;
    return true;
  });
}

}  // namespace linnet
