#define REG_A 1
#define REG_B 2
