/*
 * tls_musl.c - what Debian's libbearssl.a was compiled against and musl has not: the checking forms
 * of glibc's memory functions. They check here too. For musl builds with TLS only.
 */
#include <stddef.h>
#include <string.h>

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room);
void *__memmove_chk(void *to, const void *from, size_t length, size_t room);
void *__memset_chk(void *to, int byte, size_t length, size_t room);

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room)
{
	if (length > room)
		__builtin_trap();
	return memcpy(to, from, length);
}

void *__memmove_chk(void *to, const void *from, size_t length, size_t room)
{
	if (length > room)
		__builtin_trap();
	return memmove(to, from, length);
}

void *__memset_chk(void *to, int byte, size_t length, size_t room)
{
	if (length > room)
		__builtin_trap();
	return memset(to, byte, length);
}
