#include "http/event_loop.h"

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace linnet {

namespace asio = boost::asio;

namespace {

void WaitUntil(asio::steady_timer& timer, std::chrono::steady_clock::time_point time,
               EventLoop::Call call) {
  timer.expires_at(time);
  timer.async_wait([call = std::move(call)](const boost::system::error_code& error) {
    if (error != asio::error::operation_aborted) call();
  });
}

void WaitFor(asio::posix::stream_descriptor& file,
             asio::posix::stream_descriptor::wait_type direction, EventLoop::Call call) {
  file.async_wait(direction, [call = std::move(call)](const boost::system::error_code& error) {
    if (error != asio::error::operation_aborted) call();
  });
}

}  // namespace

struct EventLoop::Impl {
  asio::io_context context{1};
  asio::steady_timer timer{context};
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::Run() {
  const auto work = asio::make_work_guard(impl_->context);
  impl_->context.run();
}

void EventLoop::Stop() { impl_->context.stop(); }

void EventLoop::Post(Call call) { asio::post(impl_->context, std::move(call)); }

void EventLoop::At(std::chrono::steady_clock::time_point time, Call call) {
  WaitUntil(impl_->timer, time, std::move(call));
}

struct Watch::Impl {
  Impl(asio::io_context& context, int descriptor) : file(context, descriptor), timer(context) {}
  asio::posix::stream_descriptor file;
  asio::steady_timer timer;
};

Watch::Watch(EventLoop& loop, int descriptor) : descriptor_(descriptor) {
  try {
    impl_ = std::make_unique<Impl>(loop.impl_->context, descriptor);
  } catch (...) {
    close(descriptor);
    throw;
  }
}
Watch::~Watch() = default;

void Watch::OnReadable(EventLoop::Call call) {
  WaitFor(impl_->file, asio::posix::stream_descriptor::wait_read, std::move(call));
}

void Watch::OnWritable(EventLoop::Call call) {
  WaitFor(impl_->file, asio::posix::stream_descriptor::wait_write, std::move(call));
}

void Watch::At(std::chrono::steady_clock::time_point time, EventLoop::Call call) {
  WaitUntil(impl_->timer, time, std::move(call));
}

void Watch::Close() {
  boost::system::error_code ignored;
  impl_->timer.cancel();
  impl_->file.close(ignored);
  descriptor_ = -1;
}

}  // namespace linnet
