// A 32-bit program that leaks ten children and sleeps: the reaper knows only 64-bit ones.
// No libc, so that it builds without the 32-bit one.
static int call(int number, int a, int b, int c)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}
void _start(void)
{
    for (int i = 0; i < 10; i++)
        if (call(2, 0, 0, 0) == 0)
            call(1, 0, 0, 0);
    call(4, 1, (int)"leaked\n", 7);
    for (;;)
        call(29, 0, 0, 0);
}
