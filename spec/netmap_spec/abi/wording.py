"""One line of our own on every structure the C headers declare."""

from __future__ import annotations

STRUCTS = {
    "netmap_slot": "One slot of a ring: which buffer, how many bytes, flags, an address for NS_INDIRECT.",
    "netmap_ring": "The shared header of one ring, followed by its slots.",
    "netmap_if": "What one descriptor registered: ring counts, extra buffers, where the rings are.",
    "nmreq": "Argument of NIOCGINFO and NIOCREGIF, the request format before API 12.",
    "nm_ifreq": "Argument of NIOCCONFIG: opaque bytes for the module behind a switch.",
    "nmreq_option": "Head of every option, a link of the list nmreq_header.nr_options starts.",
    "nmreq_header": "Argument of NIOCCTRL: the request, the port it is about, its options and its body.",
    "nmreq_register": "Body of NETMAP_REQ_REGISTER: bind the descriptor to rings of a port.",
    "nmreq_port_info_get": "Body of NETMAP_REQ_PORT_INFO_GET: sizes of a port, without binding to it.",
    "nmreq_vale_attach": "Body of NETMAP_REQ_VALE_ATTACH: put a port into a switch.",
    "nmreq_vale_detach": "Body of NETMAP_REQ_VALE_DETACH: take a port out of its switch.",
    "nmreq_vale_list": "Body of NETMAP_REQ_VALE_LIST: one port of a switch, or the next one.",
    "nmreq_port_hdr": "Body of NETMAP_REQ_PORT_HDR_SET and _GET: bytes of header before each frame.",
    "nmreq_vale_newif": "Body of NETMAP_REQ_VALE_NEWIF: create a persistent switch port.",
    "nmreq_vale_polling": "Body of NETMAP_REQ_VALE_POLLING_ENABLE and _DISABLE: kernel threads that poll.",
    "nmreq_pools_info": "Body of NETMAP_REQ_POOLS_INFO_GET: the three pools of a memory region.",
    "nmreq_sync_kloop_start": "Body of NETMAP_REQ_SYNC_KLOOP_START: a kernel loop that syncs the rings.",
    "nm_csb_atok": "Control block from the application to the kernel, one for each ring.",
    "nm_csb_ktoa": "Control block from the kernel to the application, one for each ring.",
    "nmreq_opt_sync_kloop_eventfds": "Option of NETMAP_REQ_SYNC_KLOOP_START: two eventfds for each ring.",
    "nmreq_opt_sync_kloop_mode": "Option of NETMAP_REQ_SYNC_KLOOP_START: who runs which direction.",
    "nmreq_opt_extmem": "Option of NETMAP_REQ_REGISTER: memory of the application as the port's region.",
    "nmreq_opt_csb": "Option of NETMAP_REQ_REGISTER: where the control blocks are.",
    "nmreq_opt_offsets": "Option of NETMAP_REQ_REGISTER: packets that start inside their buffer.",
}
