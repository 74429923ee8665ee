// The header as a C++ program sees it: the same types, functions without name mangling, macros that work.
#include "larder.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

static_assert(std::is_same<larder_status, std::int32_t>::value, "a status is an int32_t");
static_assert(LARDER_OK == 0 && LARDER_MISS > 0 && LARDER_ECONFIG < 0, "failures are negative");

int main()
{
    static const char text[] = "{\"default\": {\"BACKEND\": \"django.core.cache.backends.locmem.LocMemCache\"}}";
    larder_options options = LARDER_OPTIONS_INIT;
    larder_call call = LARDER_CALL_INIT;
    call.flags = LARDER_CALL_NX;
    larder_context *context = nullptr;
    larder_store *store = nullptr;
    char buffer[16] = {};
    size_t needed = 0;
    if (larder_open(text, sizeof text - 1, &options, &context, nullptr) != LARDER_OK)
        return 1;
    if (larder_store_open(context, "default", &store, nullptr) != LARDER_OK)
        return 2;
    if (larder_set(store, LARDER_LIT("k"), LARDER_LIT("from C++"), LARDER_TEXT, LARDER_TTL_FOREVER, &call, nullptr) !=
        LARDER_OK)
        return 3;
    if (larder_get_into(store, LARDER_LIT("k"), nullptr, buffer, sizeof buffer, &needed, nullptr) != LARDER_OK)
        return 4;
    if (std::strcmp(buffer, "from C++") != 0)
        return 5;
    larder_store_close(store);
    if (larder_shutdown(context, 1000, nullptr) != LARDER_OK)
        return 6;
    std::puts("header: fine in C++");
    return 0;
}
