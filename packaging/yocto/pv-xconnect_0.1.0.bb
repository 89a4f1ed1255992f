SUMMARY = "Service mesh between the containers of a device"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=b8f90be905d40e71462f66e2abe06269"

# What the tar command of docs/install.md ("Yocto") made, unpacked by do_unpack: the bundles need no npm and no network,
# which a recipe must not use either, and are the same for every machine. What is C is built here, by the layer's own
# compiler.
SRC_URI = "file://pv-xconnect-${PV}.tar.gz"

# Node-API is the same in every version of Node.js, and its headers come with the one of the layer.
DEPENDS = "nodejs"

# meta-openembedded of scarthgap has Node.js 20. The C daemon of Pantavisor is replaced: what asks for it gets this one,
# and both can't be in one image, as they have the same program. Say here what your layer calls the C daemon's package.
RDEPENDS:${PN} = "nodejs"
RPROVIDES:${PN} = "pantavisor-pv-xconnect"
RREPLACES:${PN} = "pantavisor-pv-xconnect"
RCONFLICTS:${PN} = "pantavisor-pv-xconnect"
# Where the bus is hosted by the daemon. Pantavisor has one of its own.
RRECOMMENDS:${PN} = "dbus"

# The supervisor looks for its parts beside itself, so all of it is one folder.
LIBDIR = "${nonarch_libdir}/pv-xconnect"

do_compile() {
    # One compiler call a program, as scripts/native.mjs does it: node-gyp would build for the machine that builds.
    common="-std=gnu11 -D_GNU_SOURCE -fstack-protector-strong -D_FORTIFY_SOURCE=2 -pthread"
    now="-Wl,-z,relro,-z,now"
    shared="native/closer.c native/filter.c native/handover.c native/message.c"
    mkdir -p out
    ${CC} ${CFLAGS} $common ${LDFLAGS} $now native/supervisor/*.c -o out/pv-xconnect
    ${CC} ${CFLAGS} $common ${LDFLAGS} $now native/broker/*.c $shared -o out/pvx-broker
    ${CC} ${CFLAGS} $common ${LDFLAGS} $now native/relay/*.c $shared -o out/pvx-relay
    ${CC} ${CFLAGS} $common ${LDFLAGS} $now native/bus/*.c -o out/pvx-bus
    ${CC} ${CFLAGS} $common ${LDFLAGS} $now native/enter/*.c -o out/pvx-enter
    ${CC} ${CFLAGS} $common ${LDFLAGS} $now -fPIC -shared -DNAPI_VERSION=8 -DNODE_GYP_MODULE_NAME=pvx \
        -I${STAGING_INCDIR}/node native/addon/*.c native/closer.c native/message.c -o out/pvx.node
}

do_install() {
    install -d ${D}${LIBDIR}/build/Release ${D}${bindir}
    install -m 0755 out/pv-xconnect out/pvx-broker out/pvx-relay out/pvx-bus out/pvx-enter \
        ${D}${LIBDIR}/build/Release
    install -m 0644 out/pvx.node ${D}${LIBDIR}/build/Release
    # The recipe's tarball has the bundles as they were built; no map is needed on a device.
    cp -R --no-preserve=ownership bin package.json dist src ${D}${LIBDIR}
    find ${D}${LIBDIR} -name '*.map' -delete
    for name in pv-xconnect pv-appengine pvcontrol pventer; do
        ln -sf ${@os.path.relpath(d.getVar('LIBDIR'), d.getVar('bindir'))}/bin/$name ${D}${bindir}/$name
    done
}

# No postinst makes the code cache: it takes a real start, as root, on the device. Where the root file system is
# writable, `node ${LIBDIR}/dist/code-cache.js` does it once; without it a start takes a fifth longer.

FILES:${PN} += "${LIBDIR}"
# The addon is a shared object without a version, which is loaded by its path.
INSANE_SKIP:${PN} += "dev-so"
