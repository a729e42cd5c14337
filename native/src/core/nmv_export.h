/* What a shared object of ours lets out; everything else is hidden (-fvisibility=hidden). */
#ifndef NMV_EXPORT_H
#define NMV_EXPORT_H

#define NMV_PUBLIC __attribute__((visibility("default")))

#endif
