// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace ukai {

template <class T>
class Task;

namespace detail {

/// Resumes the awaiting coroutine when both the awaiter has suspended and the task has finished.
/// Whoever comes second acts. An atomic flag stands where symmetric transfer would, because
/// g++ 12 overflows the stack on long runs of synchronously finished awaits without optimisation.
class Meeting {
 public:
  /// Called by the task at its end; resumes the awaiter if that one is waiting already.
  void finished() {
    if (met_.exchange(true, std::memory_order_acq_rel)) awaiter_.resume();
  }
  /// Called by the awaiter. True: it must stay suspended; false: the task has finished.
  bool must_wait() { return !met_.exchange(true, std::memory_order_acq_rel); }
  void set_awaiter(std::coroutine_handle<> handle) { awaiter_ = handle; }

 private:
  std::coroutine_handle<> awaiter_;
  std::atomic<bool> met_{false};
};

struct PromiseBase {
  Meeting meeting;

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct Final {
    bool await_ready() noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> handle) noexcept {
      handle.promise().meeting.finished();
    }
    void await_resume() noexcept {}
  };
  Final final_suspend() noexcept { return {}; }
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() noexcept {}
};

}  // namespace detail

/// A coroutine that starts when it is awaited and is awaited exactly once (or never started).
///
/// Threads: resumes on whatever thread completed what it waited for. No mutex may be held
/// across co_await. Exceptions terminate. Never build a temporary struct or a capturing lambda
/// inside a co_await expression: g++ 12 destroys it twice.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> awaiter) {
    auto& meeting = handle_.promise().meeting;
    meeting.set_awaiter(awaiter);
    handle_.resume();
    return meeting.must_wait();
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(*handle_.promise().value);
  }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace detail

/// A value that arrives once, from a callback. `resolve` may run before or after the await and on
/// any thread; the awaiter resumes on the resolving thread. Copies share the state.
template <class T>
class OneShot {
 public:
  OneShot() : state_(std::make_shared<State>()) {}

  /// Must be called exactly once.
  void resolve(T value) const {
    auto state = state_;  // the awaiter may destroy *this
    state->value.emplace(std::move(value));
    state->meeting.finished();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> awaiter) {
    auto state = state_;
    state->meeting.set_awaiter(awaiter);
    return state->meeting.must_wait();
  }
  T await_resume() { return std::move(*state_->value); }

 private:
  struct State {
    std::optional<T> value;
    detail::Meeting meeting;
  };
  std::shared_ptr<State> state_;
};

namespace detail {
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
};
inline Detached run_detached(Task<void> task, std::function<void()> done) {
  co_await std::move(task);
  if (done) done();
}
template <class T>
Detached run_into(Task<T> task, std::function<void(T)> done) {
  T value = co_await std::move(task);
  done(std::move(value));
}
}  // namespace detail

/// Runs `task` now, on this thread up to its first wait, with nobody awaiting it. `done` runs at
/// its end, after the task's frame is finished but before it is freed.
inline void spawn(Task<void> task, std::function<void()> done = nullptr) {
  detail::run_detached(std::move(task), std::move(done));
}

/// Runs `task` now and hands its value to `done`.
template <class T>
void spawn_into(Task<T> task, std::function<void(T)> done) {
  detail::run_into<T>(std::move(task), std::move(done));
}

/// Blocks this thread until `task` has finished. Never on a completion thread.
template <class T>
T sync_wait(Task<T> task) {
  std::mutex mutex;
  std::condition_variable cv;
  bool finished = false;
  auto wake = [&] {
    std::lock_guard lock(mutex);
    finished = true;
    cv.notify_one();
  };
  auto wait = [&] {
    std::unique_lock lock(mutex);
    cv.wait(lock, [&] { return finished; });
  };
  if constexpr (std::is_void_v<T>) {
    spawn(std::move(task), wake);
    wait();
  } else {
    std::optional<T> value;
    spawn_into<T>(std::move(task), [&](T result) {
      value.emplace(std::move(result));
      wake();
    });
    wait();
    return std::move(*value);
  }
}

/// Starts all tasks, at once, and returns their values in order when the last has finished.
template <class T>
Task<std::vector<T>> gather(std::vector<Task<T>> tasks) {
  struct Shared {
    std::atomic<std::size_t> left;
    std::vector<std::optional<T>> values;
    OneShot<bool> all;
  };
  std::vector<T> out;
  if (tasks.empty()) co_return out;
  auto shared = std::make_shared<Shared>();
  shared->left = tasks.size();
  shared->values.resize(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    spawn_into<T>(std::move(tasks[i]), [shared, i](T value) {
      shared->values[i].emplace(std::move(value));
      if (shared->left.fetch_sub(1, std::memory_order_acq_rel) == 1) shared->all.resolve(true);
    });
  }
  OneShot<bool> all = shared->all;
  co_await all;
  out.reserve(shared->values.size());
  for (auto& value : shared->values) out.push_back(std::move(*value));
  co_return out;
}

}  // namespace ukai
