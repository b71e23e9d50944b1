// Two things that the static binaries have smaller than what their libraries bring. The linker puts these in place (--wrap).
//
// Multiples of P-256's base point without ring's table for them, which is 151,552 bytes of the static binaries: the point is
// multiplied as any other, by ring's own code for that (constant in time), as ring itself does for P-384 and on smaller
// processors. Signing with and verifying a P-256 key takes some ten microseconds more, once a connection.
//
// PREFIX begins ring's symbols and holds its version; should ring change
// these functions, tests/static.sh fails: the simulated cluster's certificates are of P-256.

#include <stdint.h>
#include <sys/prctl.h>

#define JOIN(a, b, c) a##b##c
#define SYMBOL(before, prefix, name) JOIN(before, prefix, name)
#define RING(name) SYMBOL(, PREFIX, name)
#define WRAP(name) SYMBOL(__wrap_, PREFIX, name)

typedef uint64_t limb;

void RING(p256_point_mul)(limb product[3][4], const limb scalar[4], const limb x[4], const limb y[4]);

// The base point (SEC 2, section 2.4.2), coordinates times 2^256 modulo p, least limb first.
static const limb base_x[4] = {0x79e730d418a9143c, 0x75ba95fc5fedb601, 0x79fb732b77622510, 0x18905f76a53755c6};
static const limb base_y[4] = {0xddf25357ce95560a, 0x8b4ab8e4ba19e45c, 0xd2e88688dd21f325, 0x8571ff1825885d85};

void WRAP(p256_point_mul_base)(limb product[3][4], const limb scalar[4]) {
    RING(p256_point_mul)(product, scalar, base_x, base_y);
}

void WRAP(p256_point_mul_base_vartime)(limb product[3][4], const limb scalar[4]) {
    RING(p256_point_mul)(product, scalar, base_x, base_y);
}

// A thread's name, which threads here give themselves alone. musl's own function can name others by way of a file, for whose
// path it has all of printf: 10 kB, which nothing else here needs.
int __wrap_pthread_setname_np(unsigned long thread, const char *name) {
    (void)thread;
    return prctl(PR_SET_NAME, name);
}
