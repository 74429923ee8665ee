/*
 * A hit that is copied out: find and memcpy in a std::unordered_map under a std::mutex, against larder_get_into.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "memory.h"

#include <pthread.h>
#include <unistd.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "contest.h"
#include "larder_use.h"

/* benches/cache_aio */
extern "C" {
struct cache_aio;
cache_aio *cache_aio_open(const char *url);
bool cache_aio_set(const cache_aio *peer, const char *key, std::size_t key_size, const char *value, std::size_t size);
bool cache_aio_get(const cache_aio *peer, const char *key, std::size_t key_size, char *copy, std::size_t size);
void cache_aio_close(cache_aio *peer);
}

namespace {

/* Lets find take a string_view, so that the baseline does not allocate a string for each look-up. */
struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};

template <typename Held>
struct Map {
    std::mutex mutex;
    std::unordered_map<std::string, Held, Hash, std::equal_to<>> entries;
};

/* What a cache needs at least: a value that expires. */
struct Expiring {
    std::string value;
    std::int64_t deadline;
};

/* What a cache with large values does: hands a share out, and copies when the lock is free again. */
struct Shared {
    std::shared_ptr<const std::string> value;
    std::int64_t deadline;
};

/* The kernel's coarse clock, in ns: cheap, and exact enough for a time to live. */
std::int64_t coarse_now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The keys, what they hold, and in which order they are read. */
struct Work {
    std::vector<std::string> keys;
    std::string value; /* its first eight bytes differ from key to key */
    std::vector<std::uint32_t> order;

    Work(std::size_t count, std::size_t size) : value(size, 0), order(1u << 17)
    {
        char key[64];
        for (std::size_t i = 0; i < count; i++) {
            std::snprintf(key, sizeof key, "match:EUW1_%010zu:timeline:v5", i);
            keys.emplace_back(key);
        }
        std::uint64_t seed = 77;
        for (char &byte : value) {
            byte = static_cast<char>(random_next(&seed) >> 56);
        }
        for (std::uint32_t &i : order) {
            i = static_cast<std::uint32_t>((random_next(&seed) >> 11) % count);
        }
    }

    std::size_t index_at(std::size_t place) const { return order[place & (order.size() - 1)]; }

    const std::string &key_at(std::size_t place) const { return keys[index_at(place)]; }

    static std::uint64_t stamp(std::size_t i) { return (i + 1) * 0x9E3779B97F4A7C15u; }

    std::string value_of(std::size_t i) const
    {
        std::string made = value;
        std::uint64_t s = stamp(i);
        std::memcpy(made.data(), &s, sizeof s);
        return made;
    }
};

/* One thread's part of a block. */
struct Part {
    std::size_t first; /* where in the order it begins */
    std::size_t n;
    std::uint64_t sum; /* of the stamps that it read */
    std::vector<char> last;
    std::uint64_t start, end;
};

/* One who reads: `reader.read` copies the value of a key into a buffer, and answers whether it was there in full. */
template <typename Reader>
struct Lane {
    Reader reader;
    const Work *work;
    std::size_t threads;
    std::size_t position = 0;  /* where in the order the next block begins */
    std::vector<Part> done = {}; /* to be checked when nobody counts the time */
};

template <typename Reader>
struct Task {
    const Lane<Reader> *lane;
    pthread_barrier_t *barrier;
    Part part;
};

template <typename Reader>
void *run_task(void *given)
{
    auto *task = static_cast<Task<Reader> *>(given);
    const Work &work = *task->lane->work;
    const Reader &reader = task->lane->reader;
    Part &part = task->part;
    std::vector<char> copy(work.value.size());
    std::uint64_t sum = 0;
    pthread_barrier_wait(task->barrier);
    part.start = now_ns();
    for (std::size_t i = 0; i < part.n; i++) {
        if (!reader.read(work.key_at(part.first + i), copy.data(), copy.size())) {
            die("a value in memory is not there");
        }
        std::uint64_t stamp;
        std::memcpy(&stamp, copy.data(), sizeof stamp);
        sum += stamp;
    }
    part.end = now_ns();
    part.sum = sum;
    part.last = std::move(copy);
    return nullptr;
}

/* n operations in all, shared by the threads; from the first one's start to the last one's end. */
template <typename Reader>
std::uint64_t run(void *self, std::size_t n)
{
    auto *lane = static_cast<Lane<Reader> *>(self);
    const std::size_t each = n / lane->threads;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, static_cast<unsigned>(lane->threads));
    std::vector<Task<Reader>> tasks(lane->threads);
    std::vector<pthread_t> threads(lane->threads);
    for (std::size_t i = 0; i < lane->threads; i++) {
        tasks[i] = {lane, &barrier, {lane->position + i * 4099, each, 0, {}, 0, 0}};
        if (i > 0 && pthread_create(&threads[i], nullptr, run_task<Reader>, &tasks[i]) != 0) {
            die("cannot start a thread");
        }
    }
    run_task<Reader>(&tasks[0]);
    std::uint64_t start = tasks[0].part.start;
    std::uint64_t end = tasks[0].part.end;
    for (std::size_t i = 1; i < lane->threads; i++) {
        pthread_join(threads[i], nullptr);
        start = std::min(start, tasks[i].part.start);
        end = std::max(end, tasks[i].part.end);
    }
    pthread_barrier_destroy(&barrier);
    lane->position += each;
    for (Task<Reader> &task : tasks) {
        lane->done.push_back(std::move(task.part));
    }
    return end - start;
}

/* Every hit was its own key's value, and the last copy of each part is right to the last byte. */
template <typename Reader>
void check(void *self, std::size_t)
{
    auto *lane = static_cast<Lane<Reader> *>(self);
    const Work &work = *lane->work;
    for (const Part &part : lane->done) {
        std::uint64_t sum = part.sum;
        for (std::size_t i = 0; i < part.n; i++) {
            sum -= Work::stamp(work.index_at(part.first + i));
        }
        const std::string last = work.value_of(work.index_at(part.first + part.n - 1));
        if (sum != 0 || std::memcmp(part.last.data(), last.data(), last.size()) != 0) {
            die("a value in memory is wrong");
        }
    }
    lane->done.clear();
}

struct PlainReader {
    Map<std::string> *map;
    bool read(const std::string &key, char *copy, std::size_t size) const
    {
        std::lock_guard<std::mutex> guard(map->mutex);
        auto found = map->entries.find(std::string_view(key));
        if (found == map->entries.end() || found->second.size() != size) {
            return false;
        }
        std::memcpy(copy, found->second.data(), size);
        return true;
    }
};

struct ExpiringReader {
    Map<Expiring> *map;
    bool read(const std::string &key, char *copy, std::size_t size) const
    {
        std::lock_guard<std::mutex> guard(map->mutex);
        auto found = map->entries.find(std::string_view(key));
        if (found == map->entries.end() || found->second.deadline < coarse_now() || found->second.value.size() != size) {
            return false;
        }
        std::memcpy(copy, found->second.value.data(), size);
        return true;
    }
};

struct SharedReader {
    Map<Shared> *map;
    bool read(const std::string &key, char *copy, std::size_t size) const
    {
        std::shared_ptr<const std::string> value;
        {
            std::lock_guard<std::mutex> guard(map->mutex);
            auto found = map->entries.find(std::string_view(key));
            if (found == map->entries.end() || found->second.deadline < coarse_now()) {
                return false;
            }
            value = found->second.value;
        }
        if (value->size() != size) {
            return false;
        }
        std::memcpy(copy, value->data(), size);
        return true;
    }
};

struct CopyReader {
    const larder_store *store;
    bool read(const std::string &key, char *copy, std::size_t size) const
    {
        std::size_t needed = 0;
        return larder_get_into(store, key.data(), key.size(), nullptr, copy, size, &needed, nullptr) == LARDER_OK &&
               needed == size;
    }
};

/* The same through a value. A host that only looks at the bytes would not copy them; here all do the same work. */
struct BorrowReader {
    const larder_store *store;
    bool read(const std::string &key, char *copy, std::size_t size) const
    {
        larder_value *value = nullptr;
        const void *bytes = nullptr;
        std::size_t found = 0;
        if (larder_get(store, key.data(), key.size(), nullptr, &value, nullptr) != LARDER_OK ||
            larder_value_bytes(value, &bytes, &found, nullptr) != LARDER_OK || found != size) {
            return false;
        }
        std::memcpy(copy, bytes, size);
        larder_value_release(value);
        return true;
    }
};

/* The C++ maps of one contest. */
struct Maps {
    Map<std::string> a, b;
    Map<Expiring> expiring;
    Map<Shared> shared;
};

void fill(const Work &work, Maps &maps, const larder_store *store)
{
    larder_error *error = nullptr;
    const std::int64_t deadline = coarse_now() + 3600 * std::int64_t{1000000000};
    larder_must(larder_clear(store, LARDER_CLEAR_EVERYTHING, nullptr, &error), error, "larder_clear");
    for (std::size_t i = 0; i < work.keys.size(); i++) {
        const std::string &key = work.keys[i];
        const std::string value = work.value_of(i);
        maps.a.entries.emplace(key, value);
        maps.b.entries.emplace(key, value);
        maps.expiring.entries.emplace(key, Expiring{value, deadline});
        maps.shared.entries.emplace(key, Shared{std::make_shared<const std::string>(value), deadline});
        larder_must(larder_set(store, key.data(), key.size(), value.data(), value.size(), LARDER_BYTES, LARDER_TTL_DEFAULT,
                               nullptr, &error),
                    error, "larder_set");
    }
}

void hit(const char *title, const larder_store *store, std::size_t keys, std::size_t size, std::size_t threads)
{
    const Work work(keys, size);
    Maps maps;
    fill(work, maps, store);
    Lane<PlainReader> baseline{{&maps.a}, &work, threads};
    Lane<PlainReader> control{{&maps.b}, &work, threads};
    Lane<CopyReader> copying{{store}, &work, threads};
    Lane<BorrowReader> borrowing{{store}, &work, threads};
    Lane<ExpiringReader> expiring{{&maps.expiring}, &work, threads};
    Lane<SharedReader> shared{{&maps.shared}, &work, threads};
    const entrant entrants[] = {
        {"C++ map", run<PlainReader>, check<PlainReader>, &baseline},
        {"C++ map", run<PlainReader>, check<PlainReader>, &control},
        {"larder_get_into", run<CopyReader>, check<CopyReader>, &copying},
        {"larder_get, bytes, memcpy, release", run<BorrowReader>, check<BorrowReader>, &borrowing},
        {"C++ map with deadlines", run<ExpiringReader>, check<ExpiringReader>, &expiring},
        {"C++ map with deadlines and shared values", run<SharedReader>, check<SharedReader>, &shared}};
    const aim c1 = {"C1", TIME, 0.95, 2};
    const bool judged = threads == 1 && keys == 64;
    const contest made = {title, threads == 1 ? ONE_CORE : ANYWHERE, entrants, std::size(entrants), &c1, judged ? 1u : 0u, 0};
    contest_run(&made);
}

/* redis-rs with its own near cache, behind block_on. */
struct AioReader {
    const cache_aio *peer;
    bool read(const std::string &key, char *copy, std::size_t size) const
    {
        return cache_aio_get(peer, key.data(), key.size(), copy, size);
    }
};

cache_aio *open_aio(int port, const Work &work)
{
    char url[64];
    std::snprintf(url, sizeof url, "redis://127.0.0.1:%d/1?protocol=resp3", port);
    cache_aio *peer = cache_aio_open(url);
    for (std::size_t i = 0; peer != nullptr && i < work.keys.size(); i++) {
        const std::string value = work.value_of(i);
        if (!cache_aio_set(peer, work.keys[i].data(), work.keys[i].size(), value.data(), value.size())) {
            die("redis-rs: a set went wrong");
        }
    }
    if (peer == nullptr) {
        die("redis-rs does not connect");
    }
    return peer;
}

/* Each key is read until it comes from memory. */
template <typename Reader>
void warm(const Work &work, const Reader &reader)
{
    std::vector<char> copy(work.value.size());
    for (int round = 0; round < 20; round++) {
        for (const std::string &key : work.keys) {
            if (!reader.read(key, copy.data(), copy.size())) {
                die("a value is not there");
            }
        }
        usleep(20000);
    }
}

void fill_store(const Work &work, const larder_store *store)
{
    larder_error *error = nullptr;
    for (std::size_t i = 0; i < work.keys.size(); i++) {
        const std::string value = work.value_of(i);
        larder_must(larder_set(store, work.keys[i].data(), work.keys[i].size(), value.data(), value.size(), LARDER_BYTES,
                               LARDER_SECONDS(3600), nullptr, &error),
                    error, "larder_set");
    }
    warm(work, CopyReader{store});
}

void near_hit(const larder_store *near, const larder_store *memory, const larder_store *other, int port)
{
    const Work work(64, 1024);
    fill_store(work, near);
    const char *title = "near-cache hit 1024 B among 64 keys against redis-rs cache-aio";
    if (contest_wanted(title)) {
        cache_aio *a = open_aio(port, work);
        cache_aio *b = open_aio(port, work);
        Lane<AioReader> baseline{{a}, &work, 1};
        Lane<AioReader> control{{b}, &work, 1};
        Lane<CopyReader> copying{{near}, &work, 1};
        Lane<BorrowReader> borrowing{{near}, &work, 1};
        warm(work, AioReader{a});
        warm(work, AioReader{b});
        const entrant entrants[] = {
            {"redis-rs cache-aio, block_on", run<AioReader>, check<AioReader>, &baseline},
            {"redis-rs cache-aio, block_on", run<AioReader>, check<AioReader>, &control},
            {"larder_get_into", run<CopyReader>, check<CopyReader>, &copying},
            {"larder_get, bytes, memcpy, release", run<BorrowReader>, check<BorrowReader>, &borrowing}};
        const aim a11 = {"A11", TIME, 0.45, 2};
        const contest made = {title, ONE_CORE, entrants, std::size(entrants), &a11, 1, 0};
        contest_run(&made);
        cache_aio_close(a);
        cache_aio_close(b);
    }
    title = "near-cache hit 1024 B among 64 keys against a hit of the memory backend";
    if (contest_wanted(title)) {
        fill_store(work, memory);
        fill_store(work, other);
        Lane<CopyReader> baseline{{memory}, &work, 1};
        Lane<CopyReader> control{{other}, &work, 1};
        Lane<CopyReader> copying{{near}, &work, 1};
        Lane<BorrowReader> borrowing{{near}, &work, 1};
        Lane<BorrowReader> borrowing_memory{{memory}, &work, 1};
        const entrant entrants[] = {
            {"larder_get_into, memory", run<CopyReader>, check<CopyReader>, &baseline},
            {"larder_get_into, memory", run<CopyReader>, check<CopyReader>, &control},
            {"larder_get_into, near", run<CopyReader>, check<CopyReader>, &copying},
            {"larder_get, bytes, memcpy, release, near", run<BorrowReader>, check<BorrowReader>, &borrowing},
            {"larder_get, bytes, memcpy, release, memory", run<BorrowReader>, check<BorrowReader>, &borrowing_memory}};
        const aim a11 = {"A11", TIME, 1.00, 2};
        const contest made = {title, ONE_CORE, entrants, std::size(entrants), &a11, 1, 0};
        contest_run(&made);
    }
}

}  // namespace

extern "C" void near_contests(const larder_context *context, int port)
{
    if (!contest_wanted("near-cache hit 1024 B among 64 keys against redis-rs cache-aio") &&
        !contest_wanted("near-cache hit 1024 B among 64 keys against a hit of the memory backend")) {
        return;
    }
    larder_store *near = larder_must_open(context, "near");
    larder_store *memory = larder_must_open(context, "memory");
    larder_store *other = larder_must_open(context, "memory again");
    near_hit(near, memory, other, port);
    larder_store_close(near);
    larder_store_close(memory);
    larder_store_close(other);
}

extern "C" void memory_contests(const larder_context *context)
{
    larder_store *store = larder_must_open(context, "memory");
    for (std::size_t threads : {1, 2}) {
        for (std::size_t keys : {64, 100000}) {
            for (std::size_t size : {100, 1024}) {
                char title[96];
                std::snprintf(title, sizeof title, "hit %zu B among %zu keys in memory with %zu thread%s", size, keys, threads,
                              threads == 1 ? "" : "s");
                if (contest_wanted(title)) {
                    hit(title, store, keys, size, threads);
                }
            }
        }
    }
    larder_store_close(store);
}
