// Names the instruction sets that this processor supports, best first.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace {

PyObject* supported(PyObject*, PyObject*) {
  PyObject* names = PyList_New(0);
  if (names == nullptr) return nullptr;
  const auto append = [names](const char* name) {
    PyObject* text = PyUnicode_FromString(name);
    if (text != nullptr) PyList_Append(names, text);
    Py_XDECREF(text);
  };
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) append("avx512bf16");
  if (avx512) append("avx512");
  if (avx2) append("avx2");
#endif
  append("baseline");
  return names;
}

PyMethodDef methods[] = {
    {"supported", supported, METH_NOARGS,
     "Return the names of the instruction sets to choose from, best first."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "_cpu",
                          "What this processor can do.",
                          -1,
                          methods,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() { return PyModule_Create(&definition); }
