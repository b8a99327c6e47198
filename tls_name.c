/*
 * tls_name.c - the addresses in a certificate: subjectAltName entries of type iPAddress (RFC
 * 5280, 4.2.1.6).
 *
 * Walks DER that a stranger sent: every length is checked against what is left, nothing recurses.
 */
#include "tls_trust.h"

#include <string.h>

enum {
	TAG_BOOLEAN = 0x01,
	TAG_OCTETS = 0x04,
	TAG_OID = 0x06,
	TAG_SEQUENCE = 0x30,
	TAG_IP_ADDRESS = 0x87,
	TAG_EXTENSIONS = 0xa3,
};

struct der {
	const unsigned char *at;
	size_t length;
};

/* Takes one element off the front of rest: its tag and what is in it. */
static bool take(struct der *rest, unsigned *tag, struct der *content)
{
	size_t header = 2;
	size_t length;

	if (rest->length < header)
		return false;
	*tag = rest->at[0];
	length = rest->at[1];
	if (length >= 0x80) { /* the low bits say how many bytes of length follow; two are enough
				 for 64 KiB */
		size_t bytes = length & 0x7f;

		if (bytes < 1 || bytes > 2 || rest->length < header + bytes)
			return false;
		length = 0;
		for (size_t i = 0; i < bytes; i++)
			length = length << 8 | rest->at[header + i];
		header += bytes;
	}
	if (length > rest->length - header)
		return false;
	*content = (struct der){rest->at + header, length};
	*rest = (struct der){content->at + length, rest->length - header - length};
	return true;
}

static bool take_tag(struct der *rest, unsigned wanted, struct der *content)
{
	unsigned tag;

	return take(rest, &tag, content) && tag == wanted;
}

/* Extension ::= SEQUENCE { OID, BOOLEAN critical OPTIONAL, OCTET STRING }; the last one's content,
 * if this is a SAN. */
static bool is_alternative_names(struct der extension, struct der *value)
{
	static const unsigned char oid[] = {0x55, 0x1d, 0x11};
	struct der id;
	unsigned tag;

	if (!take_tag(&extension, TAG_OID, &id) || id.length != sizeof oid ||
		memcmp(id.at, oid, sizeof oid) != 0)
		return false;
	if (!take(&extension, &tag, value))
		return false;
	if (tag == TAG_BOOLEAN && !take(&extension, &tag, value))
		return false;
	return tag == TAG_OCTETS;
}

static bool names_address(struct der value, const unsigned char *address, size_t length)
{
	struct der names;
	struct der name;
	unsigned tag;

	if (!take_tag(&value, TAG_SEQUENCE, &names))
		return false;
	while (take(&names, &tag, &name))
		if (tag == TAG_IP_ADDRESS && name.length == length &&
			memcmp(name.at, address, length) == 0)
			return true;
	return false;
}

bool tls_certificate_names_address(const unsigned char *der, size_t length,
	const unsigned char *address, size_t address_length)
{
	struct der rest = {der, length};
	struct der certificate;
	struct der body;
	struct der part;
	struct der extensions;
	struct der value;
	unsigned tag;

	if (!take_tag(&rest, TAG_SEQUENCE, &certificate) ||
		!take_tag(&certificate, TAG_SEQUENCE, &body))
		return false;
	do
		if (!take(&body, &tag, &part))
			return false;
	while (tag != TAG_EXTENSIONS);
	if (!take_tag(&part, TAG_SEQUENCE, &extensions))
		return false;
	while (take_tag(&extensions, TAG_SEQUENCE, &part))
		if (is_alternative_names(part, &value) &&
			names_address(value, address, address_length))
			return true;
	return false;
}
